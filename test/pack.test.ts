import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { database, newest, root } from './support/database.js'

const run = promisify(execFile)
let tarball: string

beforeAll(async () => {
  const out = mkdtempSync('/tmp/rethread-pack-')
  // dist is there already: the test script builds first, and other tests are reading it
  await run('npm', ['run', '-s', 'build:types'], { cwd: root })
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', out], { cwd: root })
  tarball = join(out, readdirSync(out).find(f => f.endsWith('.tgz'))!)
})

test('the packed package works when it is installed elsewhere', { timeout: 300_000 }, async () => {
  const home = mkdtempSync('/tmp/rethread-install-')
  writeFileSync(join(home, 'package.json'), '{"name":"somebody","type":"module","private":true}')
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: home })
  const packages = Object.keys(
    JSON.parse(readFileSync(join(home, 'node_modules/.package-lock.json'), 'utf8')).packages,
  )
  const files = readdirSync(join(home, 'node_modules'), { recursive: true, withFileTypes: true })
  const bytes = files
    .filter(f => f.isFile())
    .reduce((sum, f) => sum + statSync(join(f.parentPath ?? f.path, f.name)).size, 0)
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(
    `It installs ${packages.length} packages, ${Math.round(bytes / 1e6)} MB in all.`,
  )
  await using db = await database(newest())
  const env = { ...process.env, DATABASE_URL: db.url }
  const bin = join(home, 'node_modules/.bin/rethread')
  const { stdout } = await run(bin, ['migrate', '--format', 'json', '--quiet'], { cwd: home, env })
  expect(JSON.parse(stdout).verdict).toBe('clean')
  const verified = await run(bin, ['verify'], { cwd: home, env })
  expect(verified.stdout).toContain('Verdict: clean')
  writeFileSync(
    join(home, 'use.mjs'),
    `import { codes, exitCodes, openProject } from 'rethread'
     import schema from 'rethread/report.schema.json' with { type: 'json' }
     console.log(Object.keys(codes).length > 50, exitCodes.refused, typeof openProject, schema.type)`,
  )
  expect((await run(process.execPath, ['--no-warnings', 'use.mjs'], { cwd: home })).stdout.trim()).toBe(
    'true 3 function object',
  )
})

/** The programs of docs/library.md, and what the page says that each prints. */
const page = readFileSync(join(root, 'docs/library.md'), 'utf8')
const examples = [...page.matchAll(/```ts\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)].map(
  ([, program, printed]) => ({ program: program!, printed: printed! }),
)

/** What the compiler must refuse. */
const wrong = `
  import { openProject, type Report } from 'rethread'
  const project = await openProject({ databaseUrl: 'postgres://localhost/chat' })
  const report: Report = await project.migrate({ phase: 'expand', consent: { allow: ['ENDS_OLD_APP'] } })
  if (report.verdict === 'clean') report.steps.map(s => s.outcome === 'done')
  // @ts-expect-error a value that nobody knows
  await project.migrate({ backfill: false })
  // @ts-expect-error a phase that there is not
  await project.migrate({ phase: 'later' })
  // @ts-expect-error a hazard that there is not
  await project.rollback({ all: true, consent: { allow: ['EVERYTHING'] } })
  await project.assignQuarantined({ workspace: 'w', reason: 'it has none', consent: { allow: ['FIRES_TRIGGERS'] } })
  // @ts-expect-error assign needs a workspace
  await project.assignQuarantined({ reason: 'it has none' })
  // @ts-expect-error show needs the number of a row
  await project.showQuarantined()
  // @ts-expect-error restore needs an archive
  await project.restore({})
  // @ts-expect-error a verdict that there is not
  console.log(report.verdict === 'fine')`

/** Stops at a batch, and goes on. */
const stop = `
  import { exitCodes, openProject, type Event } from 'rethread'
  const stop = new AbortController()
  const seen: Event['type'][] = []
  const databaseUrl = process.env.DATABASE_URL
  const first = await openProject({
    databaseUrl,
    signal: stop.signal,
    onEvent: event => {
      seen.push(event.type)
      if (event.type === 'batch' && event.migration === '005_assign_messages') stop.abort()
    },
  })
  const stopped = await first.migrate()
  const codes = stopped.findings.map(f => f.code)
  console.log(stopped.verdict, exitCodes[stopped.verdict], codes.includes('INTERRUPTED'), seen[0], seen.at(-1))
  console.log(stopped.steps.filter(s => s.outcome !== 'not-run').map(s => s.outcome).join())
  const second = await openProject({ databaseUrl })
  console.log((await second.migrate()).verdict, (await second.verify({ deep: true })).verdict)`

/**
 * A TypeScript project with the tarball, what the tarball depends on, the types of Node, and the programs: no
 * network is needed. Compiled strictly, with the types of every package checked too.
 */
async function typeScriptProject(): Promise<string> {
  const home = mkdtempSync('/tmp/rethread-typescript-')
  const modules = join(home, 'node_modules')
  mkdirSync(join(modules, 'rethread'), { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'rethread')])
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>
  }
  const needed = Object.entries(packages).filter(
    ([path, p]) => path && !p.dev && !p.devOptional && !p.optional,
  )
  const ofNode = ['node_modules/@types/node', 'node_modules/undici-types']
  for (const path of [...needed.map(([path]) => path), ...ofNode])
    cpSync(join(root, path), join(home, path), { recursive: true })
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: ['node'],
  }
  writeFileSync(join(home, 'package.json'), '{"name":"somebody","type":"module","private":true}')
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  for (const [i, { program }] of examples.entries()) writeFileSync(join(home, `example${i}.ts`), program)
  writeFileSync(join(home, 'wrong.ts'), wrong)
  writeFileSync(join(home, 'stop.ts'), stop)
  for (const compiler of ['typescript', 'typescript-api']) await compile(home, 'tsconfig.json', compiler)
  return home
}

/** Compiles a project, with the newest compiler or the one before it; what the compiler says is the error. */
const compile = (home: string, project: string, compiler = 'typescript') =>
  run(process.execPath, [join(root, 'node_modules', compiler, 'bin/tsc'), '-p', project], {
    cwd: home,
  }).catch(error => {
    throw new Error(error.stdout)
  })

describe('in a TypeScript project', () => {
  let home: string
  beforeAll(async () => {
    home = await typeScriptProject()
  })

  test('the types need no others than those of the package’s own dependencies, not even those of Node', async () => {
    const alone = {
      extends: './tsconfig.json',
      compilerOptions: { types: [], noEmit: true },
      files: ['wrong.ts'],
    }
    writeFileSync(join(home, 'alone.json'), JSON.stringify(alone))
    await compile(home, 'alone.json')
  })

  test('the examples of docs/library.md print what the page says', async () => {
    expect([examples.length, page.match(/```ts\n/g)!.length]).toEqual([5, 5])
    await using db = await database(newest())
    const env = { ...process.env, DATABASE_URL: db.url }
    for (const [i, { printed }] of examples.entries())
      expect((await run(process.execPath, [`example${i}.js`], { cwd: home, env })).stdout).toBe(printed)
  })

  test('a program migrates, is stopped by its signal at a batch, goes on, and verifies', async () => {
    await using db = await database(newest(), 'workspace-sessions', 20_000)
    const env = { ...process.env, DATABASE_URL: db.url }
    const { stdout } = await run(process.execPath, ['stop.js'], { cwd: home, env })
    expect(stdout.trim().split('\n')).toEqual([
      'interrupted 130 true run rollback-cost',
      'done,done,done,done,interrupted',
      'clean clean',
    ])
  })
})
