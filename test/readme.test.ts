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

test('every other command block of the README runs, in order, on one database', async () => {
  await using db = await database(newest())
  const folder = mkdtempSync('/tmp/rethread-readme-')
  const npx = join(folder, 'npx')
  writeFileSync(
    npx,
    `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"\n`,
  )
  chmodSync(npx, 0o755)
  for (const block of blocks.slice(2)) {
    const script = block
      .replace('postgres://user:password@host:5432/database', db.url)
      .replace('--confirm database', `--confirm ${db.name}`)
    for (const line of script.split('\n')) {
      const env = { ...process.env, DATABASE_URL: db.url, PATH: `${folder}:${process.env.PATH}` }
      const ran = await run('sh', ['-c', line], { cwd: folder, env }).catch(error => error)
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
  expect((await rethread(db.url, ['verify'])).code).toBe(0)
})
