import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from './support/database.js'

/** Files of the repository, new ones included. */
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter(f => f && !/\.png$|^package-lock\.json$/.test(f) && existsSync(join(root, f)))
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Columns of a line of prose in the pages for contributors. */
const widestProse = 100

/** Lines that are too wide, with their width. */
const wide = (file: string, text: string, lines: Set<number>, most: number): string[] =>
  text
    .split('\n')
    .flatMap((line, i) =>
      lines.has(i + 1) && line.length > most ? [`${file}:${i + 1}: ${line.length} columns`] : [],
    )

/** Documents that a reader of the repository cannot open, and the numbers by which they were cited. */
const unavailable =
  /\b[Pp]itfalls? P\d|\b[Dd]ecisions? \d|\b[Aa]bilit(?:y|ies) [A-Z]\d|\b[Hh]abits? \d|\b[Ss]hared[ ]contract|(?<!docs\/)\b(?:house|decisions|pitfalls)\.md\b|\[exp\]|\((?:[PB]\d{1,2}(?:, | and |-)?)+\)|\b[Ee]ugene E\d|\b[Ii]ssues? #?\d/

describe('comments', () => {
  test('cite nothing that a reader cannot open', () => {
    const found = files.flatMap(file => {
      const text = read(file)
      return [...text.matchAll(new RegExp(unavailable, 'g'))].map(
        m => `${file}:${text.slice(0, m.index).split('\n').length}: ${m[0]}`,
      )
    })
    expect(found).toEqual([])
  })
})

test('the pages for contributors have lines that can be read in a diff', () => {
  const found = files
    .filter(f => /^(CONTRIBUTING|docs\/glossary|\.github\/.*)\.md$/.test(f))
    .flatMap(file => {
      const text = read(file)
      // a table's row and a line of code can't be wrapped
      let code = false
      const prose = text.split('\n').flatMap((line, i) => {
        if (line.startsWith('```')) code = !code
        return code || line.startsWith('|') ? [] : [i + 1]
      })
      return wide(file, text, new Set(prose), widestProse)
    })
  expect(found).toEqual([])
})

describe('what the checks see', () => {
  // each in two parts, so that this file passes its own check
  test.each([
    ['pitfall ', 'P39'],
    ['pitfalls ', 'P15-P17'],
    ['decision ', '14'],
    ['Ability ', 'B12'],
    ['habit ', '2'],
    ['(', 'P69, P84, B1)'],
    ['(', 'P32)'],
    ['house', '.md'],
    ['[e', 'xp]'],
    ['issue ', '#27'],
  ])('%s%s is a citation', (start, end) => expect(start + end).toMatch(unavailable))

  test.each(['docs/decisions.md', 'SQLSTATE P0001', 'the decision is yours', 'a habit', 'make (P) of it'])(
    '%s is not',
    text => expect(text).not.toMatch(unavailable),
  )
})
