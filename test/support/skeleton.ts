import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { rethread as run } from './cli.js'
import { newest, root } from './database.js'

const execute = promisify(execFile)

/** What a repository has beside its own files. */
const notOurs = /^(node_modules|dist|\.git|\.rethread|\.ci)$/

/** A copy of this repository in which something is added, to see whether it works without another edit. */
export interface Skeleton extends Disposable {
  folder: string
  /** Writes new files. Throws where one is there already. */
  add(files: Record<string, string>): void
  build(): Promise<void>
  /** What the compiler has against its sources; empty for nothing. */
  types(): Promise<string>
  /** Runs the command line that is built from it. */
  rethread: typeof run
  /** Runs tests of the copy against the newest server; the outcome by full name. */
  test(file: string, name: string): Promise<Record<string, string>>
  /** Paths of the files that were added, and of those that were edited or removed. */
  changes(): { added: string[]; edited: string[] }
}

/** Copies the repository, with its packages by a link. */
export function skeleton(): Skeleton {
  const folder = mkdtempSync('/tmp/rethread-skeleton-')
  for (const entry of readdirSync(root))
    if (!notOurs.test(entry)) cpSync(join(root, entry), join(folder, entry), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const before = hashes(folder)
  return {
    folder,
    add: files => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text, { flag: 'wx' })
      }
    },
    build: async () => {
      await execute('npm', ['run', '-s', 'build'], { cwd: folder })
    },
    types: () =>
      execute(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], { cwd: folder }).then(
        () => '',
        (error: { stdout: string }) => error.stdout,
      ),
    rethread: (url, args, options = {}) => run(url, args, { cwd: folder, home: folder, ...options }),
    test: async (file, name) => {
      const { CI: _, ...env } = process.env
      const args = ['run', '--config', 'test/vitest.config.ts', file, '-t', name, '--reporter=json']
      const { stdout } = await execute(process.execPath, ['node_modules/vitest/vitest.mjs', ...args], {
        cwd: folder,
        env: { ...env, TEST_DATABASE_URL: newest().url, TEST_DATABASE_ONLY: '1' },
        maxBuffer: 2 ** 26,
      }).catch((error: { stdout: string }) => error)
      const report = JSON.parse(stdout.slice(stdout.indexOf('{"')))
      return Object.fromEntries(
        report.testResults
          .flatMap((r: { assertionResults: object[] }) => r.assertionResults)
          .filter((a: { status: string }) => a.status !== 'skipped' && a.status !== 'pending')
          .map((a: { fullName: string; status: string; failureMessages: string[] }) => [
            a.fullName,
            [a.status, ...a.failureMessages].join(': '),
          ]),
      )
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
    changes: () => {
      const now = hashes(folder)
      return {
        added: [...now.keys()].filter(path => !before.has(path)).sort(),
        edited: [...before].filter(([path, hash]) => now.get(path) !== hash).map(([path]) => path),
      }
    },
  }
}

/** The files of a folder, each with a hash of its content. */
function hashes(folder: string): Map<string, string> {
  const found = new Map<string, string>()
  const walk = (path: string) => {
    for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
      const at = path ? `${path}/${entry.name}` : entry.name
      if (notOurs.test(at)) continue
      if (entry.isDirectory()) walk(at)
      else
        found.set(
          at,
          createHash('sha256')
            .update(readFileSync(join(folder, at)))
            .digest('hex'),
        )
    }
  }
  walk('')
  return found
}
