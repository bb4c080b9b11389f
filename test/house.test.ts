import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Invocation } from '../src/command.js'
import explain from '../src/commands/explain.js'
import { codes, hazards } from '../src/model/codes.js'
import { renderTable } from '../src/render/table.js'
import { words } from '../src/render/words/index.js'
import { root } from './support/database.js'
import {
  asyncNames,
  blindCatches,
  circles,
  clockReads,
  globalsUsed,
  looseReturns,
  lostBackslashes,
  parse,
  queries,
  readSources,
  type Source,
  strings,
  undocumented,
} from './support/source.js'

/**
 * The folders under `src/`, top first: each imports from those below it only. docs/architecture.md has the
 * same list, and says what is in them. Files at the top stand on a floor of their own.
 */
const floors = [
  'cli',
  'commands',
  'index.ts',
  'library',
  'render',
  'command.ts',
  'fleet',
  'operate',
  'dry_run',
  'rollback',
  'migrate',
  'verify',
  'archive',
  'backfill',
  'plan',
  'run',
  'histories',
  'adapt',
  'database',
  'files',
  'model',
]
/** Folders below those: tables of words, and what knows one layout of migrations. */
const inner = ['render/words', 'render/explanations', 'files/layouts']
/** Where each package is imported; nowhere else, types included. */
const packages: Record<string, string[]> = {
  postgres: ['database'],
  'cli-table3': ['render'],
  commander: ['cli'],
  '@inquirer/input': ['cli'],
  umzug: ['migrate', 'run'],
  'libpg-query': ['files'],
  zod: ['files', 'model'],
}
/** Those that are used where a host program has them. */
const optional: Record<string, string[]> = { '@opentelemetry/api': ['library'] }
/** The disk, other programs and the network are for these; the rest works on what it is given. */
const outside = /^node:(fs|child_process|net|tls|dgram|dns|http|https|os|worker_threads)/
const mayGoOutside = (path: string): boolean =>
  /^(cli|commands|library|files)\/|^database\/(embedded|wire)\.ts$/.test(path)

const files = readSources(join(root, 'src'))
const floorOf = (path: string): number => floors.indexOf(path.split('/')[0]!)
const isQueryFile = (path: string): boolean => path.endsWith('.sql.ts')
const mayReadClock = (path: string): boolean => /^cli\/|^library\/machine\.ts$/.test(path)
const inCli = (file: Source): boolean => file.folder === 'cli'
const inWords = (file: Source): boolean => /^render\/(words|explanations)\//.test(file.path)
const packageOf = (from: string): string => from.split('/', from.startsWith('@') ? 2 : 1).join('/')

const upward = (file: Source): string[] =>
  file.imports
    .filter(to => /\.ts$/.test(to) && floorOf(to) < floorOf(file.path))
    .map(to => `${file.path} imports ${to}`)

const processUses = (file: Source): string[] =>
  inCli(file) ? [] : globalsUsed(file, ['process', 'console', 'globalThis', 'global'])

const strayQueries = (file: Source): string[] =>
  // words may hold SQL for people to paste
  isQueryFile(file.path) || inWords(file) ? [] : queries(file)

const strayPackages = (file: Source): string[] =>
  file.imports
    .filter(i => !i.endsWith('.ts') && !i.startsWith('node:'))
    .filter(i => !(packages[packageOf(i)] ?? optional[packageOf(i)])?.includes(file.folder))
    .map(i => `${file.path} imports ${i}`)

// a name is declared once in src/
const asyncOfSrc = new Set(files.flatMap(asyncNames))
const loose = (file: Source): string[] => {
  const own = new Set(asyncNames(file))
  return looseReturns(file, name => asyncOfSrc.has(name) || own.has(name))
}

const strayOutside = (file: Source): string[] =>
  mayGoOutside(file.path)
    ? []
    : file.imports.filter(i => outside.test(i)).map(i => `${file.path} imports ${i}`)

describe('src/', () => {
  test('every file stands on a floor, no deeper than one level', () => {
    const strays = files.filter(({ path }) => {
      const folder = path.split('/').slice(0, -1).join('/')
      return floorOf(path) < 0 || (folder.includes('/') && !inner.includes(folder))
    })
    expect(strays.map(f => f.path)).toEqual([])
  })

  test('files are named alike', () => {
    const good = (path: string) =>
      path.startsWith('commands/')
        ? /^commands\/[a-z]+(-[a-z]+)*\.ts$/
        : // the name of the file is what `--layout` takes
          path.startsWith('files/layouts/')
          ? /^files\/layouts\/[a-z]+(-[a-z]+)*\.ts$/
          : /^([a-z_]+\/)*[a-z][a-z0-9_]*(\.sql)?\.ts$/
    expect(files.map(f => f.path).filter(path => !good(path).test(path))).toEqual([])
  })

  test('docs/architecture.md has the same floors in the same order', () => {
    const layout = /```text\nsrc\/\n(.*?)```/s.exec(
      readFileSync(join(root, 'docs/architecture.md'), 'utf8'),
    )![1]!
    const written = [...layout.matchAll(/^ {2}([a-z_]+(?:\/|\.ts))/gm)].map(m => m[1]!.replace('/', ''))
    expect(written).toEqual(floors.filter(f => existsSync(join(root, 'src', f))))
  })

  test('imports go down only, types included', () => {
    expect(files.flatMap(upward)).toEqual([])
  })

  test('a promise is waited for before what it works with is closed', () => {
    expect(files.flatMap(loose)).toEqual([])
  })

  test('a catch looks at what it catches', () => {
    expect(files.flatMap(blindCatches)).toEqual([])
  })

  test('no file imports itself, in however many steps, types included', () => {
    expect(circles(files)).toEqual([])
  })

  test('the largest folder holds at most a fifth of the lines', () => {
    const total = files.reduce((sum, f) => sum + f.lines, 0)
    const shares = floors.map(folder => {
      const lines = files.filter(f => f.folder === folder).reduce((sum, f) => sum + f.lines, 0)
      return { folder, share: lines / total }
    })
    expect(shares.filter(f => f.share > 0.2)).toEqual([])
  })

  test('no file is longer than 300 lines, but tables of words', () => {
    const long = files.filter(f => f.lines > 300 && !inWords(f))
    expect(long.map(f => `${f.path}: ${f.lines}`)).toEqual([])
  })

  test('a name at the top of a file is defined once', () => {
    const where = new Map<string, Set<string>>()
    for (const { path, names } of files)
      for (const name of names) where.set(name, (where.get(name) ?? new Set()).add(path))
    const twice = [...where].filter(([, paths]) => paths.size > 1)
    expect(twice.map(([name, paths]) => `${name}: ${[...paths].join(', ')}`)).toEqual([])
  })

  test('only cli/ knows the process and the console, by whatever way', () => {
    expect(files.flatMap(processUses)).toEqual([])
  })

  test('only the edges read the clock or roll dice', () => {
    expect(files.filter(f => !mayReadClock(f.path)).flatMap(clockReads)).toEqual([])
  })

  test('text of queries is in *.sql.ts', () => {
    expect(files.flatMap(strayQueries)).toEqual([])
  })

  test('no template loses a backslash', () => {
    expect(files.flatMap(lostBackslashes)).toEqual([])
  })

  test('queries are beside their callers', () => {
    const lonely = files.filter(
      f =>
        isQueryFile(f.path) &&
        f.folder !== 'database' &&
        !files.some(g => g.folder === f.folder && g.imports.includes(f.path)),
    )
    expect(lonely.map(f => f.path)).toEqual([])
  })

  test('each package is imported in its folder only', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const { dependencies, devDependencies } = manifest
    // what is bundled is not installed too: only a package with a file of its own is
    expect(Object.keys(dependencies)).toEqual(['libpg-query'])
    expect(Object.keys(packages).filter(name => !(name in { ...dependencies, ...devDependencies }))).toEqual(
      [],
    )
    for (const name of Object.keys(optional))
      expect([name, manifest.peerDependenciesMeta[name]]).toEqual([name, { optional: true }])
    expect(files.flatMap(strayPackages)).toEqual([])
  })

  test('capabilities touch neither disk nor network nor other programs', () => {
    expect(files.flatMap(strayOutside)).toEqual([])
  })

  test('every exported name says what it is', () => {
    // the schema describes itself: its descriptions are published with it
    expect(files.filter(f => f.path !== 'model/schema.ts').flatMap(undocumented)).toEqual([])
  })

  test('a command file declares its command', () => {
    const commands = files.filter(f => f.folder === 'commands')
    expect(
      commands.filter(f => !/^export default defineCommand\(/m.test(f.tree.text)).map(f => f.path),
    ).toEqual([])
  })

  test('no file but a command knows a track by name', () => {
    const tracks = readdirSync(join(root, 'migrations'))
    const knowing = files.filter(
      f =>
        !inWords(f) &&
        f.folder !== 'commands' &&
        strings(f).some(s => tracks.some(track => s.includes(track))),
    )
    expect(knowing.map(f => f.path)).toEqual([])
  })
})

describe('codes', () => {
  test('every code has words', () => {
    expect(Object.keys(words).sort()).toEqual(Object.keys(codes).sort())
  })

  test.each([...Object.keys(codes), ...Object.keys(hazards)])('%s is explained', async code => {
    const report = await explain.read({})({ args: [code] } as unknown as Invocation)
    const text = await renderTable(report, { color: false, verbose: false, width: 100 })
    const [, ...parts] = text.split(/^(?=\S)/m)
    expect(parts.map(part => part.split('\n')[0])).toEqual([
      'meaning',
      'why it matters',
      'what to do',
      'example',
    ])
    // whole sentences
    for (const part of parts.slice(0, 3))
      expect(part.trim()).toMatch(/\n\s+([A-Z`]|rethread|psql|init|--)[\s\S]{5,}\.$/)
    expect(parts[3]!.trim()).toMatch(/\n\s+\S[\s\S]{5,}/)
    expect(text).not.toMatch(/undefined|\[object|\{\w*\}/)
  })

  test('every code is used', () => {
    const said = new Set(
      files.filter(f => !inWords(f) && !/^model\/(codes|facts)\.ts$/.test(f.path)).flatMap(strings),
    )
    expect(Object.keys(codes).filter(c => !said.has(c))).toEqual([])
  })
})

test('every check has its story', () => {
  for (const track of readdirSync(join(root, 'verify'))) {
    for (const check of readdirSync(join(root, 'verify', track)).filter(f => f.endsWith('.sql')))
      expect(existsSync(join(root, 'test/checks', track, check)), `test/checks/${track}/${check}`).toBe(true)
  }
})

test('nothing but what belongs there stands at the top', () => {
  const allowed = [
    'src',
    'migrations',
    'rollbacks',
    'verify',
    'test',
    'docs',
    'examples',
    'scripts',
    'README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'LICENSE',
    'Dockerfile',
    'action.yml',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'node_modules',
    'dist',
  ]
  expect(readdirSync(root).filter(f => !f.startsWith('.') && !allowed.includes(f))).toEqual([])
})

describe('the rules see what they forbid', () => {
  test.each<[string, (file: Source) => string[], string, string]>([
    ['an upward import', upward, 'run/a.ts', "import { migrate } from '../migrate/migrate.js'"],
    ['an upward type', upward, 'run/a.ts', "import type { Plan } from '../plan/make_plan.js'"],
    ['an upward re-export', upward, 'run/a.ts', "export * from '../plan/make_plan.js'"],
    ['an upward import() of a type', upward, 'run/a.ts', "type A = import('../plan/make_plan.js').A"],
    ['an upward import() at run time', upward, 'run/a.ts', "await import('../cli/main.js')"],
    ['process', processUses, 'run/a.ts', 'process.exit(1)'],
    ['process of globalThis', processUses, 'run/a.ts', 'globalThis.process.exit(1)'],
    ['process by brackets', processUses, 'run/a.ts', "globalThis['process'].exit(1)"],
    ['process taken apart', processUses, 'run/a.ts', 'const { console: c } = globalThis'],
    ['process as a module', processUses, 'run/a.ts', "import { env } from 'node:process'"],
    ['console', processUses, 'run/a.ts', "console.log('hello')"],
    ['the clock', clockReads, 'run/a.ts', 'const at = Date.now()'],
    ['the date', clockReads, 'run/a.ts', 'const at = new Date()'],
    ['dice', clockReads, 'run/a.ts', 'const n = Math.random()'],
    ['a timer', clockReads, 'run/a.ts', 'setTimeout(() => {}, 1)'],
    ['a tagged query', strayQueries, 'run/a.ts', 'await connection.sql<Row[]>`select 1`'],
    ['a tagged fragment', strayQueries, 'run/a.ts', 'const where = tx`true`'],
    ['a text that is sent', strayQueries, 'run/a.ts', 'await sql.unsafe(text)'],
    ['a query by itself', strayQueries, 'run/a.ts', "const text = 'select 1'"],
    ['a query with values', strayQueries, 'run/a.ts', `const text = \`alter table \${name} owner to me\``],
    [
      'a query over lines',
      strayQueries,
      'run/a.ts',
      'const text = `\n  with a as (select 1) select * from a`',
    ],
    ['a lost backslash', lostBackslashes, 'run/a.sql.ts', "await sql`select '\\s+'`"],
    ['one behind a value', lostBackslashes, 'run/a.ts', `const a = \`\${b} \\d \${c}\``],
    ['a type of postgres', strayPackages, 'run/a.ts', "import type postgres from 'postgres'"],
    ['a package of nobody', strayPackages, 'cli/a.ts', "import pad from 'left-pad'"],
    ['a package within a package', strayPackages, 'run/a.ts', "import { z } from 'zod/mini'"],
    ['the disk', strayOutside, 'run/a.ts', "import { readFileSync } from 'node:fs'"],
    ['the disk, by promises', strayOutside, 'verify/a.ts', "import { readFile } from 'node:fs/promises'"],
    [
      'a promise that nobody waits for',
      loose,
      'run/a.ts',
      'async function f() {}\nasync function g() { await using a = b; if (a) return a ? f() : null }',
    ],
    ['a catch of everything', blindCatches, 'run/a.ts', 'try { a() } catch { b() }'],
    ['a catch of whatever', blindCatches, 'run/a.ts', 'try { a() } catch (error) { b() }'],
    ['a promise whose error is lost', blindCatches, 'run/a.ts', 'a().catch(() => null)'],
    ['a name without words', undocumented, 'run/a.ts', '// not a docstring\nexport const a = 1'],
  ])('%s', (_, rule, path, text) => {
    expect(rule(parse(path, text))).not.toEqual([])
  })

  test.each<[string, (file: Source) => string[], string, string]>([
    ['a downward import', upward, 'plan/a.ts', "import { openRun } from '../run/open_run.js'"],
    ['a member called process', processUses, 'run/a.ts', 'const { pid } = server.process'],
    ['a date of a text', clockReads, 'run/a.ts', "const at = new Date('2026-01-01')"],
    ['prose that begins like SQL', strayQueries, 'run/a.ts', "const text = 'select the track with --track'"],
    ['a query in its place', strayQueries, 'run/a.sql.ts', 'await sql`select 1`'],
    [
      'a backslash that is kept',
      lostBackslashes,
      'run/a.ts',
      `const a = \`\\n \\\\s\` + String.raw\`\\s \${b} \\d\``,
    ],
    [
      'a promise that is waited for, and one outside',
      loose,
      'run/a.ts',
      'async function f() {}\nasync function g() { { await using a = b; return await f() }\nreturn f() }',
    ],
    ['a catch that knows', blindCatches, 'run/a.ts', 'a().catch(error => { if (!b(error)) throw error })'],
    ['process in cli/', processUses, 'cli/a.ts', 'process.exit(1)'],
    ['a name with words', undocumented, 'run/a.ts', '/** The first letter. */\nexport const a = 1'],
  ])('but not %s', (_, rule, path, text) => {
    expect(rule(parse(path, text))).toEqual([])
  })

  test('a circle of three, closed by a type', () => {
    const found = circles([
      parse('run/a.ts', "import { b } from './b.js'"),
      parse('run/b.ts', "import { c } from './c.js'"),
      parse('run/c.ts', "import type { A } from './a.js'"),
      parse('run/d.ts', "import { a } from './a.js'"),
    ])
    expect(found).toEqual([['run/a.ts', 'run/b.ts', 'run/c.ts']])
  })
})
