import type { Context } from './database/context.js'
import { type Config, type ConfigRead, configName } from './files/config.js'
import { fleetOptions } from './fleet/fleet_options.js'
import { type HazardCode, hazards } from './model/codes.js'
import {
  choice,
  counted,
  factor,
  flag,
  type Options,
  readOptions,
  repeated,
  seconds,
  type Typed,
  text,
  type Values,
} from './model/options.js'
import type { Consent } from './model/plan.js'
import type { Project, Track } from './model/project.js'
import type { Finding, Report, Table } from './model/report.js'

/** Options of all commands. */
export const globalOptions = {
  databaseUrl: text(
    '--database-url <url>',
    'target (else RETHREAD_DATABASE_URL, DATABASE_URL, SUPABASE_DB_URL, the PG* variables)',
  ),
  embedded: flag('--embedded', 'use a PostgreSQL of its own under .rethread/'),
  track: text('-t, --track <name>', 'track (default: the ledger’s, else the one that fits)'),
  dir: text(
    '--dir <folder>',
    'folder with migrations/ rollbacks/ verify/ (default: here if it has them, else the shipped tracks)',
  ),
  layout: text(
    '--layout <name>',
    'whose files are in the folder, such as supabase or dbmate (default: recognized from the files)',
  ),
  config: text('--config <file>', `configuration (default ${configName}, here or in the folder of --dir)`),
  allow: counted(
    '--allow <hazards>',
    'hazards that may happen, by name, separated by commas',
    Object.keys(hazards) as HazardCode[],
    'QUARANTINES_ROWS',
  ),
  confirm: text('--confirm <database>', 'name of the database, where data would be dropped'),
  reason: text('--reason <text>', 'why; kept in the ledger'),
  lockWait: seconds(
    '--lock-wait <seconds>',
    'how long to wait for another run (default 60; 0 is not at all)',
    60,
  ),
  format: text('-f, --format <format>', 'default table'),
  output: repeated(
    '-o, --output <file>',
    'write the report to a file, in the format of its name or after `=`: plan.json, plan.txt=markdown; may be repeated',
  ),
  quiet: flag('-q, --quiet', 'no progress'),
  log: choice(
    '--log <format>',
    'progress on stderr as text or json: one line for each event (default text)',
    ['text', 'json'],
  ),
  verbose: flag('-v, --verbose', 'show more: notices, statements, causes of errors'),
  color: flag('--no-color', 'no colour (also NO_COLOR)'),
  yes: flag('-y, --yes', 'never ask; does not replace --allow or --confirm'),
}

/** Their values. */
export type GlobalOptions = Values<typeof globalOptions>

/** One run of a command, from cli: everything is read and checked, and it has nothing of the process. */
export interface Invocation {
  args: string[]
  ctx: Context
  config: Config
  configRead: ConfigRead
  /** The source of each setting, for `doctor`. */
  sources: Table
  /** The track of a flag or the configuration; null if there is none. */
  trackName: string | null
  /** The tracks in the folders, with their faults. */
  project(): Project
  /** The chosen track. Throws the faults of the files, or TRACK_UNCLEAR. */
  track(): Promise<Track>
  /** Findings about the layout of the chosen track. None if it is in rethread's own layout. */
  layoutFindings(): Finding[]
  /** The report with the start time of the command, the number of its run, and the limits that applied. */
  stamped(report: Report, startedAt: Date): Report
  /** FOLDER_NOT_READ if another tool's migrations are beside, but a shipped track is used. */
  unreadFolder(): Finding[]
  consent: Consent
  /** The answers to a report's questions, in the form of `--map`. */
  answers: string[]
  /** How long to wait for another run, in milliseconds. */
  leaseWaitMs: number
  /** Environment for programs that are started. */
  env: Record<string, string | undefined>
  /** The working directory. */
  cwd: string
  /** Folder of the package, with shipped tracks and examples. */
  home: string
  /** When the command was started, by the machine's clock. */
  startedAt: Date
}

/** The input of a command: the invocation and the values of its options. */
interface Input<O extends Options> extends Invocation {
  options: Values<O> & GlobalOptions
}

/** The declaration in a command file. Each file is one command, with the file's name. */
interface Declaration<O extends Options> {
  summary: string
  /** A complete command line for the help, to be copied. */
  example: string
  /** Positional arguments in commander's notation, such as `<archive>`. */
  args?: string
  /** Its own options. `run` gets their values with their types. */
  options?: O
  /** True if each filter of the tracks is a flag too: `--trip x` is `--filter trip=x`. */
  filters?: boolean
  /** True if it needs no database. */
  offline?: boolean
  /** True if `--layout` is the layout that it writes, not that of the folder. */
  writesLayout?: boolean
  /** True if it creates the folder of `--dir` if necessary. */
  makesFolder?: boolean
  /** True for an offline command that reads a database if one is named. */
  mayConnect?: boolean
  /** True if it needs consent, or shows which consent is needed. */
  consents?: boolean
  /**
   * Allows `--targets`. Returns true if it changes the databases with these options: then one goes first, and
   * a failure stops the rest.
   */
  fleet?: (options: Values<O>) => boolean
  run(input: Input<O>): Promise<Report>
}

/** A command for cli. */
export interface Command {
  summary: string
  example: string
  args: string
  options: Options
  filters: boolean
  offline: boolean
  writesLayout: boolean
  makesFolder: boolean
  mayConnect: boolean
  consents: boolean
  /** Whether it changes the databases of `--targets`; null if it does not accept them. */
  fleet: ((typed: Record<string, Typed>) => boolean) | null
  /**
   * Reads the options. The returned function runs the command. Throws Failures with every option that is
   * wrong.
   */
  read(typed: Record<string, Typed>): (invocation: Invocation) => Promise<Report>
}

/** Declares a command. */
export const defineCommand = <O extends Options = Record<never, never>>(
  declared: Declaration<O>,
): Command => ({
  summary: declared.summary,
  example: declared.example,
  args: declared.args ?? '',
  options: { ...declared.options, ...(declared.fleet ? fleetOptions : {}) },
  filters: declared.filters ?? false,
  offline: declared.offline ?? false,
  writesLayout: declared.writesLayout ?? false,
  makesFolder: declared.makesFolder ?? false,
  mayConnect: declared.mayConnect ?? false,
  consents: declared.consents ?? false,
  fleet: declared.fleet ? typed => declared.fleet!(readOptions({ ...declared.options } as O, typed)) : null,
  read: typed => {
    // read the options of a list too, so that all faults are reported together
    const common = { ...globalOptions, ...(declared.fleet ? fleetOptions : {}) }
    const options = readOptions({ ...declared.options, ...common } as O & typeof globalOptions, typed)
    return invocation => declared.run({ ...invocation, options })
  },
})

/** The options that slow a backfill. */
export const throttleOptions = {
  nice: factor(
    '--nice <factor>',
    'pause after each batch, as a multiple of its time: 0 is none, 1 doubles the total (default 0; 1.5 beside an active application)',
    100,
    0,
  ),
  throttleQuery: text(
    '--throttle-query <sql>',
    'wait while the first value of this query is true or greater than zero',
  ),
}
