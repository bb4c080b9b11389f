import { describe, expect, test } from 'vitest'
import { withoutLiterals } from '../src/files/redact.js'

describe('a statement of somebody else is shown without its literals and comments', () => {
  test.each([
    ['', ''],
    ['   \n ', ''],
    ["select * from sessions\n\twhere  class = 's3cret'", 'select * from sessions where class = …'],
    ["select 'it''s', E'a\\'b', N'n', B'01', X'1f', U&'d' ", 'select …, …, N…, …, …, …'],
    ['do $$ begin perform secret(); end $$', 'do …'],
    ["select $tag$ it's $$ secret $tag$ , $1 + 42, 1.5e3", 'select … , $1 + …, …'],
    ['select 1 -- secret\n, 2 /* more /* secret */ */ from t', 'select … , … from t'],
    ['-- secret\nselect "My.Column", "a""b" from "T \'x\'"', 'select "My.Column", "a""b" from "T \'x\'"'],
    // cut by the server in the middle of something
    ["update t set name = 'sec", 'update t set name = …'],
    ["update t set name = E'sec\\", 'update t set name = …'],
    ['do $body$ begin secret', 'do …'],
    ['select 1 from "Tab', 'select … from "Tab"'],
    ['select 1 /* secret', 'select …'],
    // a session may take a backslash as an escape
    ["select 'a\\' secret', 'more secret'", 'select …'],
    ["select 'a\\', secret, 'b'", 'select …'],
    ["select 1secret 'x'", '…'],
  ])('%j: %j', async (text, shown) => {
    expect(await withoutLiterals(text)).toBe(shown)
  })
})
