import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { resolve } from 'node:path'
import { isNotInstalled } from '../model/failure.js'
import type { Migration, Track } from '../model/project.js'

/** A warning of squawk about a line of a file, with squawk's name of the rule. */
export interface SquawkWarning {
  /** Line number, from 1. */
  line: number
  rule: string
  message: string
  help: string | null
}

/**
 * The squawk rules that rethread uses: changes that break clients or cannot be fixed later. Its rules about
 * locks, timeouts, names and indexes are not used, because rethread examines the target itself. The names are
 * those of squawk 2.66, `squawk --help`.
 */
const rules = new Set([
  'adding-required-field',
  'adding-serial-primary-key-field',
  'ban-alter-domain-with-add-constraint',
  'ban-char-field',
  'ban-create-domain-with-constraint',
  'ban-drop-not-null',
  'ban-duplicate-column-assignments',
  'ban-truncate-cascade',
  'changing-column-type',
  'disallowed-unique-constraint',
  'prefer-timestamp-tz',
  'renaming-column',
  'renaming-table',
  'require-concurrent-partition-detach',
  'require-concurrent-reindex',
  'require-enum-value-ordering',
])

/** Time limit in milliseconds, and limit of its output in bytes. */
const timeout = 20_000
const maxBuffer = 64 * 2 ** 20

/**
 * The warnings of squawk-cli about a track's migrations, by path. It is looked for beside the track's folders
 * and beside rethread. Empty if it is not installed or fails: its warnings are advice.
 */
export async function squawk(track: Track): Promise<ReadonlyMap<string, SquawkWarning[]>> {
  const program = programOf(track.root)
  const warnings = new Map<string, SquawkWarning[]>()
  if (program === null) return warnings
  const [inOne, alone] = [true, false].map(one =>
    track.migrations.filter(m => (m.transaction === 'one') === one),
  )
  const said = await Promise.all([
    ask(program, track.root, inOne!, ['--assume-in-transaction']),
    ask(program, track.root, alone!, []),
  ])
  for (const { file, line, rule_name: rule, message, help } of said.flat()) {
    if (!rules.has(rule)) continue
    warnings.set(file, [...(warnings.get(file) ?? []), { line: line + 1, rule, message, help }])
  }
  return warnings
}

/**
 * The path of the program. The package's launcher is a Node script, which would take longer than the work.
 */
function programOf(root: string): string | null {
  for (const from of [resolve(root, 'package.json'), import.meta.url]) {
    try {
      const cli = createRequire(createRequire(from).resolve('squawk-cli/package.json'))
      return cli.resolve(
        `@squawk-cli/${platform()}-${arch()}/bin/squawk${platform() === 'win32' ? '.exe' : ''}`,
      )
    } catch (error) {
      if (!isNotInstalled(error)) throw error
    }
  }
  return null
}

interface SquawkOutput {
  file: string
  /** Line number, from 0. */
  line: number
  rule_name: string
  message: string
  help: string | null
}

function ask(
  program: string,
  cwd: string,
  migrations: Migration[],
  flags: string[],
): Promise<SquawkOutput[]> {
  if (migrations.length === 0) return Promise.resolve([])
  const args = ['--reporter=json', ...flags, ...migrations.map(m => m.file.path)]
  return new Promise((done, fail) => {
    // its exit code is 1 if it has warnings
    execFile(program, args, { cwd, timeout, maxBuffer }, (_, stdout) => {
      try {
        done(JSON.parse(stdout))
      } catch (error) {
        // no valid output: it failed or took too long
        if (error instanceof SyntaxError) done([])
        else fail(error)
      }
    })
  })
}
