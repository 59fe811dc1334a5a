-- tests/real/count_questions.lua - a file of questions holds so many, and every answer is where it is said to be.

local questions = require "ftpipe.reading.questions"

local rows = questions.read(arg[1])
if rows.n ~= tonumber(arg[2]) then error(("%d questions, expected %s"):format(rows.n, arg[2]), 0) end
for i = 1, rows.n do
   for _, answer in ipairs(rows.answers[i]) do
      if rows.contexts[i]:sub(answer.first, answer.last) ~= answer.text then error(rows.ids[i], 0) end
   end
end
