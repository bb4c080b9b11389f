import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { rethread } from './support/cli.js'
import { database, newest, root } from './support/database.js'

const run = promisify(execFile)
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/(<!-- not run: [^>]+-->\n\n)?```sh\n([\s\S]*?)```/g)]
  .filter(m => !m[1])
  .map(m => m[2]!.trim())

test('the two commands of the README are what CI runs', () => {
  expect(blocks.slice(0, 2)).toEqual(['npm ci && npm run demo', 'npm ci && npm test'])
  const ci = readFileSync(join(root, '.ci/run'), 'utf8')
  for (const part of ['npm ci', 'npm run -s demo', 'npm test']) expect(ci).toContain(part)
})

/** A line of a report without what differs between two runs: numbers, times, names and blanks. */
const masked = (line: string): string =>
  line
    .replace('npx rethread', 'rethread')
    .replace(/ {2}\S+ on \S+ {2}/, ' DATABASE ')
    .replace(/, of which `[^`]+`/, ', of which `STEP`')
    .replace(/\d[\d,.]*/g, '#')
    .replace(/# (ms|s)\b/g, '# s')
    .replace(/\brows?\b/g, 'rows')
    .replace(/\s+/g, ' ')
    .trim()

test('every other command block of the README runs, in order, on one database', async () => {
  await using db = await database(newest())
  const folder = mkdtempSync('/tmp/rethread-readme-')
  const npx = join(folder, 'npx')
  writeFileSync(
    npx,
    `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"\n`,
  )
  chmodSync(npx, 0o755)
  const printed = new Map<string, string>()
  for (const block of blocks.slice(2)) {
    const script = block
      .replace('postgres://user:password@host:5432/database', db.url)
      .replace('--confirm database', `--confirm ${db.name}`)
    for (const line of script.split('\n')) {
      const env = { ...process.env, DATABASE_URL: db.url, PATH: `${folder}:${process.env.PATH}` }
      const ran = await run('sh', ['-c', line], { cwd: folder, env }).catch(error => error)
      printed.set(line, ran.stdout)
      // status and verify say with exit 1 that something is pending or waits; nothing in the
      // README fails or is refused
      expect([line, [0, 1].includes(ran.code ?? 0), ran.stdout]).toEqual([
        line,
        true,
        expect.not.stringMatching(/^✗/m),
      ])
    }
  }
  expect(existsSync(join(folder, 'plan.md'))).toBe(true)
  // the report that is shown is that of the command above it; lines may be left out
  const shown = /The report of such a run:\n\n```text\n([\s\S]*?)```/.exec(readme)![1]!
  const real = printed.get('npx rethread migrate --plan plan.json')!.split('\n').map(masked)
  let from = 0
  for (const line of shown.split('\n').map(masked).filter(Boolean)) {
    expect(real.slice(from)).toContain(line)
    from = real.indexOf(line, from) + 1
  }
  expect((await rethread(db.url, ['verify'])).code).toBe(0)
})
