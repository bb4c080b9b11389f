import type { Context } from './engine/context.js'
import type { Consent } from './model/plan.js'
import type { Report, Table } from './model/report.js'
import type { Track, Workspace } from './model/workspace.js'
import type { Config, ConfigRead } from './workspace/config.js'

/** What cli hands to a command: everything read and checked, nothing of the process. */
export interface Input {
  /** Values of the command's own options, by their camelCase names. */
  // biome-ignore lint/suspicious/noExplicitAny: commander gives what the flags declare
  options: Record<string, any>
  args: string[]
  ctx: Context
  config: Config
  configRead: ConfigRead
  /** Where each setting came from, for `doctor`. */
  sources: Table
  /** The folders as they are, faults included. */
  workspace(): Workspace
  /** The chosen track; throws the faults of the files, or TRACK_UNCLEAR. */
  track(): Promise<Track>
  consent: Consent
  /** How long to wait for another run, in milliseconds. */
  leaseWaitMs: number
  /** Folder that the command was started in. */
  cwd: string
  /** Folder of the package: shipped tracks and examples. */
  home: string
}

/** What a command file fills in. One file = one command; its name is the command's. */
export interface Command {
  summary: string
  /** Positional arguments in commander's notation, such as `<archive>`. */
  args?: string
  /** Flags in commander's notation with their help; a repeated one collects its values in a list. */
  options?: [flags: string, help: string, repeated?: 'repeated'][]
  /** True when each filter of the tracks is a flag too: `--trip x` is `--filter trip=x`. */
  filters?: boolean
  /** True when it needs no database. */
  offline?: boolean
  run(input: Input): Promise<Report>
}

/** Declares a command. */
export const defineCommand = (command: Command): Command => command

/** A count given as an option. Throws a RangeError that names the flag. */
export function count(value: string | undefined, flag: string, otherwise: number | null): number | null {
  if (value === undefined) return otherwise
  const n = Number(value)
  if (!Number.isInteger(n) || n < 1)
    throw new RangeError(`${flag} wants a whole number from 1, not \`${value}\``)
  return n
}

/** Values of an option that takes several, separated by commas. */
export const commaList = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map(v => v.trim())
    .filter(Boolean)

/** The flags that hold a backfill back. */
export const pacing: [flags: string, help: string][] = [
  [
    '--nice <factor>',
    'rest so many times as long as a batch works: 1 is half duty (beside others at work at least 1.5, else 0 by default)',
  ],
  ['--throttle-query <sql>', 'a query of yours: while its first value is true or above zero, wait'],
]

/** Reads them. Throws a RangeError that names the flag. */
export function pace(options: Record<string, string | undefined>): {
  nice: number
  throttleQuery: string | null
} {
  const nice = Number(options.nice ?? 0)
  if (!(nice >= 0 && nice <= 100))
    throw new RangeError(`--nice wants a number from 0 to 100, not \`${options.nice}\``)
  return { nice, throttleQuery: options.throttleQuery ?? null }
}
