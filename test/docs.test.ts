import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bash } from './support/action.js'
import { database, newest, root } from './support/database.js'
import { quiet, withoutTls } from './support/other_tools.js'
import { copyOfRepository } from './support/repository.js'

const run = promisify(execFile)
const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')

/** What a reader does, in order: write a file, add lines to one, run a command. */
type Action =
  | { kind: 'write'; path: string; text: string }
  | { kind: 'add'; path: string; above: string; text: string }
  | { kind: 'run'; command: string }

interface Section {
  title: string
  actions: Action[]
}

/**
 * Blocks under a line that ends with a path are files; `sh` blocks are commands, but
 * those that a comment excuses.
 */
function sections(markdown: string): Section[] {
  const block =
    /`(?<path>[\w./-]+)`(?:, above `(?<above>[^`]+)`)?:\n\n```\w+\n(?<text>[\s\S]*?)^```|(?<excuse><!-- not run: [^>]+-->\n\n)?```sh\n(?<commands>[\s\S]*?)^```/gm
  return markdown.split(/^(?=##)/m).flatMap(text => {
    const title = /^#+ (.*)/.exec(text)?.[1] ?? ''
    const actions = [...text.matchAll(block)].flatMap(({ groups: g }): Action[] => {
      if (g!.path && g!.above) return [{ kind: 'add', path: g!.path, above: g!.above, text: g!.text! }]
      if (g!.path) return [{ kind: 'write', path: g!.path, text: g!.text! }]
      if (g!.excuse) return []
      return g!
        .commands!.trim()
        .split('\n')
        .map(command => ({ kind: 'run', command }))
    })
    return actions.length > 0 ? [{ title, actions }] : []
  })
}

/** Does one action in a copy. Throws with what the command printed. */
async function act(folder: string, action: Action): Promise<void> {
  if (action.kind === 'run') {
    // the packages are a link: an install would go through it
    expect(action.command).not.toMatch(/^npm (ci|i|install)\b/)
    // as on a contributor's machine, where a new golden is written instead of missed
    const { CI: _, ...env } = process.env
    const { stdout } = await run('sh', ['-c', action.command], {
      cwd: folder,
      env: { ...env, NO_COLOR: '1', TEST_DATABASE_URL: newest().url, TEST_DATABASE_ONLY: '1' },
      maxBuffer: 2 ** 26,
    }).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${action.command}\n${error.stdout}\n${error.stderr}`)
    })
    // what passed was not only other tests of the file
    if (action.command.startsWith('npm test')) expect(stdout).toMatch(/Tests .*\b[1-9]\d* passed/)
    return
  }
  const path = join(folder, action.path)
  mkdirSync(dirname(path), { recursive: true })
  if (action.kind === 'write') return writeFileSync(path, action.text)
  const lines = readFileSync(path, 'utf8').split('\n')
  const at = lines.findIndex(line => line.trimStart().startsWith(action.above))
  expect([action, at]).toEqual([action, expect.toSatisfy((n: number) => n > 0)])
  lines.splice(at, 0, action.text.trimEnd())
  writeFileSync(path, lines.join('\n'))
}

const all = sections(page)

test('the recipes are those that the project promises', () =>
  expect(all.map(s => s.title)).toEqual([
    'A command',
    'A check',
    'A track',
    'An output format',
    'A migration layout',
    'A finding code',
  ]))

describe('CONTRIBUTING.md is followed in a copy of the repository', () => {
  test.each(all.map(s => [s.title, s.actions] as const))('%s', { timeout: 300_000 }, async (_, actions) => {
    const folder = copyOfRepository()
    for (const action of actions) await act(folder, action)
  })
})

test('its first two commands are what CI runs', () => {
  const commands = /```sh\n([\s\S]*?)```/.exec(page)![1]!.trim().split('\n')
  const ci = readFileSync(join(root, '.ci/run'), 'utf8')
  expect(commands.filter(c => !ci.includes(c))).toEqual([])
})

test('every folder, file and script that it names is there', () => {
  const written = all.flatMap(s => s.actions.flatMap(a => ('path' in a ? [a.path] : [])))
  const named = [...page.matchAll(/`((?:src|test|docs|scripts|verify|migrations|\.github)\/[\w./-]*)`/g)].map(
    m => m[1]!,
  )
  const folders = [...page.matchAll(/^\| `(\w+\/)` \|/gm)].map(m => `src/${m[1]}`)
  const lacking = [...named, ...folders].filter(p => !written.includes(p) && !existsSync(join(root, p)))
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const unknown = [...page.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(m => m[1]!).filter(s => !scripts[s])
  expect({ lacking, unknown }).toEqual({ lacking: [], unknown: [] })
})

test('the commands of docs/ci.md run, one after the other', async () => {
  await using db = await database(newest())
  const folder = mkdtempSync('/tmp/rethread-reader-')
  symlinkSync(join(root, 'dist/cli/main.js'), join(folder, 'rethread'))
  const [commands] = [...readFileSync(join(root, 'docs/ci.md'), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```/gm)]
  const env = { DATABASE_URL: db.url, PATH: `${folder}:${process.env.PATH}` }
  const codes: number[] = []
  for (const command of commands![1]!.trim().split('\n')) codes.push((await bash(command, env, folder)).code)
  // the contract phase is left, which nobody has asked for
  expect(codes).toEqual([0, 0, 0, 0, 0])
  const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'))
  expect([report.command, existsSync(join(folder, 'plan.md'))]).toEqual(['plan', true])
})

test('a name that fits no test is no success', async () => {
  const tests = run(process.execPath, ['scripts/test.mjs', 'test/expected.test.ts', '-t', 'no such name'], {
    cwd: root,
    env: { ...process.env, TEST_DATABASE_URL: newest().url, TEST_DATABASE_ONLY: '1' },
  })
  await expect(tests).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('No test ran') })
})

test('the commands of docs/other-tools.md hand a track over and back', async () => {
  await using db = await database(newest())
  const cwd = mkdtempSync('/tmp/rethread-other-tools-')
  const text = readFileSync(join(root, 'docs/other-tools.md'), 'utf8')
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(m => m[1]!.trim().split('\n'))
  const env = { ...process.env, ...quiet, DATABASE_URL: withoutTls(db.url) }
  const bin = (command: string) =>
    command
      .replace('npx rethread', `${process.execPath} ${join(root, 'dist/cli/main.js')}`)
      .replace('npx supabase', join(root, 'node_modules/.bin/supabase'))
  const shell = (command: string) => run('sh', ['-c', bin(command)], { cwd, env })
  for (const command of blocks[0]!) await shell(command)
  await expect(shell('npx supabase db push --yes --db-url "$DATABASE_URL"')).rejects.toThrow(/pending/)
  for (const command of blocks.slice(1).flat()) await shell(command)
})
