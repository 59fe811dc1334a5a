. tests/net/fetch_lib.sh
check x true
echo "$passed passed, $failed failed"
