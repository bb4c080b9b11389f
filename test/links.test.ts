import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support/database.js'

const docs = readdirSync(join(root, 'docs'), { recursive: true })
  .map(path => `docs/${path}`)
  .filter(path => path.endsWith('.md'))
const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs]

const read = (page: string): string => readFileSync(join(root, page), 'utf8')

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const anchors = (page: string): string[] =>
  [
    ...read(page)
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(m => anchorOf(m[1]!))

/** The links of a page to files of the repository: the path from its top, and the anchor. */
const links = (page: string): { to: string; anchor: string | null }[] =>
  [
    ...read(page)
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(m => m[1]!)
    .filter(link => !/^https?:/.test(link))
    .map(link => {
      const [path, anchor] = link.split('#') as [string, string?]
      return {
        to: path === '' ? page : relative(root, join(root, dirname(page), path)),
        anchor: anchor ?? null,
      }
    })

test.each(pages)('every link of %s leads somewhere', page => {
  const broken = links(page).filter(
    ({ to, anchor }) =>
      !existsSync(join(root, to)) ||
      (anchor !== null && !(to.endsWith('.md') && anchors(to).includes(anchor))),
  )
  expect(broken).toEqual([])
})

test('every page is reached from the README', () => {
  const reached = new Set<string>()
  const visit = (page: string): void => {
    if (reached.has(page)) return
    reached.add(page)
    for (const { to } of links(page)) if (to.endsWith('.md')) visit(to)
  }
  visit('README.md')
  expect(pages.filter(page => page.startsWith('docs/') && !reached.has(page))).toEqual([])
})

test('the tests that the README names as proofs are there', () => {
  const named = [...read('README.md').matchAll(/`(test\/[\w/.]+)`/g)].map(m => m[1]!)
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(path => !existsSync(join(root, path)))).toEqual([])
})

/** Tables of a page: the cells of each row. A bar divides cells in code too, unless it is escaped. */
const tables = (page: string): string[][][] =>
  [
    ...read(page)
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .matchAll(/(?:^\|.*\n)+/gm),
  ].map(([table]) =>
    table
      .trimEnd()
      .split('\n')
      .map(row =>
        row
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map(cell => cell.trim()),
      ),
  )

test.each(pages)('tables of %s have a name for each column, and no cell beyond', page => {
  const wrong = tables(page).flatMap(([head, ...rows]) => [
    ...(head!.includes('') ? [head] : []),
    ...rows.filter(row => row.length !== head!.length),
  ])
  expect(wrong).toEqual([])
})

test.each(pages)('blocks of code of %s say their language', page => {
  const fences = read(page).match(/^```.*$/gm) ?? []
  expect(fences.filter((fence, i) => fence === '```' && i % 2 === 0)).toEqual([])
})
