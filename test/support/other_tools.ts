import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './database.js'

/** What a program came to. */
export interface Ended {
  code: number
  text: string
}

/** Neither reports home nor looks for a newer version of itself. */
export const quiet = {
  CI: '1',
  DO_NOT_TRACK: '1',
  SUPABASE_TELEMETRY_DISABLED: '1',
  HOME: mkdtempSync('/tmp/rethread-home-'),
}

function run(program: string, args: string[], cwd: string): Promise<Ended> {
  const env = { PATH: process.env.PATH, ...quiet }
  return new Promise(done =>
    execFile(
      join(root, 'node_modules/.bin', program),
      args,
      { cwd, env, timeout: 60_000 },
      (error, out, err) => done({ code: error ? Number(error.code ?? 1) : 0, text: `${out}\n${err}` }),
    ),
  )
}

/** The address of a server without TLS, for tools that ask for it by themselves. */
export const withoutTls = (url: string): string => `${url}?sslmode=disable`

/** The Supabase CLI, as npm has it. */
export const supabase = (url: string, cwd: string, ...args: string[]): Promise<Ended> =>
  run('supabase', [...args, '--db-url', withoutTls(url)], cwd)

/** Versions that `supabase migration list` shows: those of the files, and those of the database. */
export async function migrationList(
  url: string,
  cwd: string,
): Promise<{ local: string[]; remote: string[] }> {
  const { code, text } = await supabase(url, cwd, 'migration', 'list')
  if (code !== 0) throw new Error(text)
  const rows = [...text.matchAll(/^\s*`\s*(\d*)\s*`\s*\|\s*`\s*(\d*)\s*`/gm)]
  const column = (n: number) => rows.map(r => r[n]!).filter(v => v !== '')
  return { local: column(1), remote: column(2) }
}

/** dbmate, as npm has it. */
export const dbmate = (url: string, cwd: string, ...args: string[]): Promise<Ended> =>
  run('dbmate', ['--url', withoutTls(url), '--no-dump-schema', ...args], cwd)
