import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { database, newest, root } from './support/database.js'

const run = promisify(execFile)

test('the packed package works when it is installed elsewhere', { timeout: 300_000 }, async () => {
  const out = mkdtempSync('/tmp/rethread-pack-')
  // dist stands already: the test script builds first, and other tests are reading it
  await run('npm', ['run', '-s', 'build:types'], { cwd: root })
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', out], { cwd: root })
  const tarball = readdirSync(out).find(f => f.endsWith('.tgz'))!
  const home = mkdtempSync('/tmp/rethread-install-')
  writeFileSync(join(home, 'package.json'), '{"name":"somebody","type":"module","private":true}')
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', join(out, tarball)], {
    cwd: home,
  })
  await using db = await database(newest())
  const env = { ...process.env, DATABASE_URL: db.url }
  const bin = join(home, 'node_modules/.bin/rethread')
  const { stdout } = await run(bin, ['migrate', '--format', 'json', '--quiet'], { cwd: home, env })
  expect(JSON.parse(stdout).verdict).toBe('clean')
  const verified = await run(bin, ['verify'], { cwd: home, env })
  expect(verified.stdout).toContain('Verdict: clean')
  writeFileSync(
    join(home, 'use.mjs'),
    `import { codes, discover, exitCodes } from 'rethread'
     import schema from 'rethread/report.schema.json' with { type: 'json' }
     console.log(Object.keys(codes).length > 50, exitCodes.refused, typeof discover, schema.type)`,
  )
  expect((await run(process.execPath, ['--no-warnings', 'use.mjs'], { cwd: home })).stdout.trim()).toBe(
    'true 3 function object',
  )
})
