// Runs the tests against dist/, which must have been built.
// `node scripts/test.mjs [--all | --soak] [files and options of vitest]`
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './root.mjs'

/** What runs for hours where it is asked to; every other test is quick. */
const soaked = [
  'test/stories/connections',
  'test/stories/cycle',
  'test/stories/destruction_random',
  'test/stories/disk_full',
  'test/stories/fleet',
  'test/stories/killed',
  'test/stories/killed_everywhere',
  'test/stories/least_privilege',
  'test/stories/matrix',
  'test/stories/mishaps',
  'test/stories/one_statement',
  'test/stories/restore_random',
  'test/stories/variations',
  'test/mutants',
]

const given = process.argv.slice(2)
const rest = given.filter(a => a !== '--all' && a !== '--soak')
const env = { ...process.env }
if (given.includes('--all')) env.RETHREAD_ALL = '1'
if (given.includes('--soak')) {
  env.RETHREAD_SOAK = '1'
  if (rest.every(a => a.startsWith('-'))) rest.push(...soaked)
}
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', join(root, 'test/vitest.config.ts'), ...rest],
  { cwd: root, env, stdio: 'inherit' },
)
process.exitCode = status ?? 1
