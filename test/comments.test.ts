import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript-api'
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

/** Columns that a line with a comment may have, its code included. */
const widest = 110
/** Columns of a line of prose in the pages for contributors, and in those for users. */
const widestProse = 100
const widestForUsers = 98

/** Numbers, from 1, of the lines of a TypeScript or JavaScript file that have a comment. */
function commentLines(file: string, text: string): Set<number> {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const lines = new Set<number>()
  const visit = (node: ts.Node): void => {
    if (node.kind >= ts.SyntaxKind.FirstJSDocNode && node.kind <= ts.SyntaxKind.LastJSDocNode) return
    const children = node.getChildren(source)
    for (const child of children) visit(child)
    if (children.length > 0) return
    // what stands before a token is white space and comments
    const start = node.getFullStart()
    const first = source.getLineAndCharacterOfPosition(start).line + 1
    text
      .slice(start, node.getStart(source))
      .split('\n')
      .forEach((part, i) => {
        if (part.trim()) lines.add(first + i)
      })
  }
  visit(source)
  return lines
}

/**
 * The same of an SQL file: lines of nothing but a comment. A header (`--! key: value`) is no
 * comment: it can't be wrapped.
 */
const sqlCommentLines = (text: string): Set<number> =>
  new Set(text.split('\n').flatMap((line, i) => (/^\s*--(?!!)/.test(line) ? [i + 1] : [])))

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
  test('are no wider than a line of code', () => {
    const found = files.flatMap(file => {
      if (/^(src|test|scripts)\/.*\.(ts|mjs)$/.test(file))
        return wide(file, read(file), commentLines(file, read(file)), widest)
      if (file.endsWith('.sql')) return wide(file, read(file), sqlCommentLines(read(file)), widest)
      return []
    })
    expect(found).toEqual([])
  })

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

test.each([
  [widestProse, /^(CONTRIBUTING|\.github\/.*)\.md$/],
  [widestForUsers, /^(README|CHANGELOG|docs\/.*)\.md$/],
])('lines of prose have at most %i columns in %s, so that a diff can be read', (most, pages) => {
  const chosen = files.filter(f => pages.test(f))
  expect(chosen.length).toBeGreaterThan(1)
  const found = chosen.flatMap(file => {
    const text = read(file)
    // a table's row and a line of code can't be wrapped
    let code = false
    const prose = text.split('\n').flatMap((line, i) => {
      if (line.startsWith('```')) code = !code
      return code || line.startsWith('|') ? [] : [i + 1]
    })
    return wide(file, text, new Set(prose), most)
  })
  expect(found).toEqual([])
})

describe('what the checks see', () => {
  test('comments of every kind, and nothing in strings, templates and regular expressions', () => {
    const text = [
      '/** one */',
      "const a = '// no'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a file
      'const b = `/* no */ ${a /* three */}`',
      'const c = /[/*]/ // four',
      'const d = {',
      '  /* six',
      '',
      '   * eight */',
      '}',
      '// the end',
    ].join('\n')
    expect([...commentLines('a.ts', text)]).toEqual([1, 3, 4, 6, 8, 10])
    expect([...sqlCommentLines("select '--';\n-- two\n--! title: three\n  -- four")]).toEqual([2, 4])
  })

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
