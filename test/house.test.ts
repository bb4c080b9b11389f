import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { codes, hazards } from '../src/model/codes.js'
import { hazardWords, words } from '../src/render/words/index.js'
import { root } from './support/database.js'

/** The architecture as a test: docs/architecture.md says why. */
const floors: Record<string, number> = {
  model: 0,
  workspace: 1,
  db: 1,
  sql: 1,
  engine: 2,
  commands: 3,
  render: 3,
  library: 4,
}
/** Files at the top of src/ and their floor. */
const top: Record<string, number> = {
  'main.ts': 5,
  'cli.ts': 4,
  'terminal.ts': 4,
  'command.ts': 3,
  'machine.ts': 4,
  'options.ts': 3,
  'renderer.ts': 3,
  'discovery.ts': 4,
  'flags.ts': 4,
  'index.ts': 4,
}

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(f =>
  f.endsWith('.ts'),
)
const text = (file: string) => readFileSync(join(root, 'src', file), 'utf8')
/** The code without its comments. */
const code = (file: string) => text(file).replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
const roomOf = (file: string) => (file.includes('/') ? file.split('/')[0]! : '')
const floorOf = (file: string) => (roomOf(file) ? floors[roomOf(file)] : top[file])

interface Import {
  from: string
  type: boolean
}

const imports = (file: string): Import[] => [
  ...[...text(file).matchAll(/^(import|export) (type )?[^;'"]*?from '([^']+)'/gms)].map(m => ({
    type: Boolean(m[2]),
    from: m[3]!,
  })),
  ...[...text(file).matchAll(/import\('([^']+)'\)/g)].map(m => ({ type: false, from: m[1]! })),
]

const resolved = (file: string, from: string): string =>
  join(file, '..', from).replace(/\.js$/, '.ts').replace(/^\.\//, '')

describe.each(files)('src/%s', file => {
  test('stands on a floor, no deeper than one level but for the sentences', () => {
    expect(floorOf(file), 'a new folder or top file needs a floor here').toBeDefined()
    expect(file.split('/').length).toBeLessThanOrEqual(file.startsWith('render/words/') ? 3 : 2)
  })

  test('imports only what is below, or its own floor’s own room', () => {
    for (const { from, type } of imports(file).filter(i => i.from.startsWith('.'))) {
      const target = resolved(file, from)
      const up = floorOf(target)! > floorOf(file)!
      const beside =
        floorOf(target) === floorOf(file) &&
        roomOf(target) !== roomOf(file) &&
        roomOf(file) !== '' &&
        roomOf(target) !== ''
      // types flow up once: a command's contract names the engine's context, the schema's
      // shape is the report's type
      expect(up && !type ? `${file} -> ${target}` : null).toBeNull()
      if (beside && !type) expect(`${file} -> ${target}`).toMatch(/^(none)$/)
    }
  })

  test('prints, exits and reads the environment only in cli, terminal and main; the clock also in machine', () => {
    if (['cli.ts', 'terminal.ts', 'main.ts'].includes(file)) return
    expect(code(file)).not.toMatch(/\bconsole\.|(?<![.\w])process\.(?!env\.NODE_)/)
    if (file === 'machine.ts') return
    expect(code(file)).not.toMatch(/Date\.now\(|new Date\(\)|Math\.random\(|performance\.now\(/)
  })

  test('only db opens connections, only sql holds statements', () => {
    if (roomOf(file) !== 'db') expect(imports(file).filter(i => i.from === 'postgres' && !i.type)).toEqual([])
    if (roomOf(file) === 'engine' || roomOf(file) === 'commands') {
      expect(code(file)).not.toMatch(
        /\b(sql|tx)(<[^>`]*>)?`\s*(select|insert|update|delete|with|set|create|alter|drop)|\.unsafe\(/i,
      )
      expect(imports(file).filter(i => ['commander', 'cli-table3'].includes(i.from))).toEqual([])
    }
    if (roomOf(file) === 'engine')
      expect(imports(file).filter(i => /^(node:)?(fs|child_process|net)/.test(i.from))).toEqual([])
  })

  test('every exported name says what it is', () => {
    const source = text(file)
    for (const m of source.matchAll(/^export (async )?(function|const|class|interface|type) (\w+)/gm)) {
      const before = source.slice(0, m.index).trimEnd()
      if (file.startsWith('model/schema.ts')) continue
      expect(/\*\/$|biome-ignore.*$/.test(before) ? null : `${file}: ${m[3]} has no docstring`).toBeNull()
    }
  })
})

test('a command file declares its command, and is named as a command is typed', () => {
  for (const f of files.filter(f => f.startsWith('commands/'))) {
    expect(text(f)).toMatch(/export default defineCommand\(/)
    expect(f).toMatch(/^commands\/[a-z]+(-[a-z]+)*\.ts$/)
  }
})

test('a file of render/ with a default export declares a format', () => {
  const declaring = files.filter(f => f.startsWith('render/') && /^export default/m.test(text(f)))
  expect(declaring.map(f => f.slice('render/'.length, -'.ts'.length)).sort()).toEqual(
    expect.arrayContaining(['github', 'html', 'json', 'markdown', 'table']),
  )
  for (const f of declaring) expect(text(f)).toMatch(/^export default defineRenderer\(/m)
})

test('every code and every hazard has words', () => {
  expect(Object.keys(words).sort()).toEqual(Object.keys(codes).sort())
  expect(Object.keys(hazardWords).sort()).toEqual(Object.keys(hazards).sort())
})

test('every code is used, and the engine knows no track by name', () => {
  const all = files
    .filter(f => !f.endsWith('codes.ts') && !f.startsWith('render/words/'))
    .map(text)
    .join('\n')
  expect(Object.keys(codes).filter(c => !all.includes(`'${c}'`))).toEqual([])
  const engine = files
    .filter(f => f.startsWith('engine/'))
    .map(text)
    .join('\n')
  for (const track of readdirSync(join(root, 'migrations'))) expect(engine).not.toContain(track)
})

test('every check has its story', () => {
  for (const track of readdirSync(join(root, 'verify'))) {
    for (const check of readdirSync(join(root, 'verify', track)).filter(f => f.endsWith('.sql')))
      expect(existsSync(join(root, 'test/checks', track, check)), check).toBe(true)
  }
})

test('nothing but what belongs there stands at the top', () => {
  const allowed = [
    'src',
    'migrations',
    'rollbacks',
    'verify',
    'test',
    'scripts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'docs',
    'examples',
    'action.yml',
    'node_modules',
    'dist',
  ]
  expect(readdirSync(root).filter(f => !f.startsWith('.') && !allowed.includes(f))).toEqual([])
})
