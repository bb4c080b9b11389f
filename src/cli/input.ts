import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command, GlobalOptions, Invocation } from '../command.js'
import { readAddress } from '../database/address.js'
import { type Config, configName, readConfig } from '../files/config.js'
import { home, packageVersion } from '../files/package.js'
import { layoutsFor } from '../library/discovery.js'
import { machine } from '../library/machine.js'
import type { Event } from '../model/event.js'
import { Failure } from '../model/failure.js'
import type { Project } from '../model/project.js'
import { exitCodes } from '../model/report.js'
import { openContext, readOnce, sourcesTable } from '../plan/open_context.js'
import { configPath, rootOf } from './flags.js'
import { urlOfEnvironment, withPassword } from './libpq.js'

/** The process. main passes it on; nothing else reads it. */
export type Process = NodeJS.Process

/** The target's URL and its source. A flag takes precedence over the environment. */
function databaseUrl(given: string | null, env: NodeJS.ProcessEnv): { url: string; source: string } {
  if (given) return { url: given, source: '--database-url' }
  for (const name of ['RETHREAD_DATABASE_URL', 'DATABASE_URL', 'SUPABASE_DB_URL']) {
    if (env[name]) return { url: env[name]!, source: name }
  }
  const url = urlOfEnvironment(env)
  if (url) return { url, source: env.PGSERVICE ? `service ${env.PGSERVICE}` : 'PG* variables' }
  return { url: '', source: 'not set' }
}

/** The target's URL, with secrets that must not be shown. Empty if it cannot be read. */
export function urlOrNone(given: string | null, env: NodeJS.ProcessEnv): string {
  try {
    return databaseUrl(given, env).url
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return ''
  }
}

/** The target of an invocation. */
interface TargetPlace {
  url: string
  /** The source of the URL. */
  source: string
  emit: (event: Event) => void
  signal: AbortSignal
}

/** The part of a command line that does not depend on the database. */
export interface CommonInput {
  config: Config
  signal: AbortSignal
  /** The tracks in the folders, with their faults. */
  project(): Project
  /** The invocation for one database. Does not connect. `close` closes what it leaves open. */
  open(place: TargetPlace): Invocation & { close(): Promise<void> }
}

/** A command line as it was given. */
interface GivenLine {
  command: Command
  args: string[]
  options: GlobalOptions
  process: Process
  /** Shows what happens after Ctrl-C; `again` is true for the second one. */
  interrupted: (again: boolean) => void
  /** What must be closed at the end. */
  cleanup: (() => Promise<void>)[]
}

/** Reads and checks everything that a command needs but its database: files, configuration, environment. */
export async function readCommonInput(given: GivenLine): Promise<CommonInput> {
  const { command, args, options, process } = given
  const cwd = process.cwd()
  const configRead = await readConfig(configPath(options.config, options.dir, cwd), Boolean(options.config))
  const { config } = configRead
  const root = rootOf(options.dir ?? null, config.dir, cwd, home)
  if (options.dir && !command.makesFolder && !existsSync(root)) throw new Failure('NO_TRACKS', root)
  const layouts = await layoutsFor(root, (command.writesLayout ? null : options.layout) ?? config.layout)
  const trackName = options.track ?? config.track
  const here = machine()
  const who = process.env.GITHUB_ACTOR ?? process.env.USER ?? here.who
  const startedAt = new Date()
  const shared = { config, root, beside: cwd, home, layouts, track: trackName, reason: options.reason }
  const project = readOnce(shared)
  const open = ({ url, source, emit, signal }: TargetPlace) => ({
    args,
    ...openContext(
      { ...shared, url, version: packageVersion(), machine: { ...here, who }, emit, signal },
      project,
    ),
    config,
    configRead,
    sources: sourcesTable({
      database: source,
      folder: options.dir ? '--dir' : root === home ? 'shipped tracks' : root,
      track: options.track ? '--track' : config.track ? configName : 'chosen by the database',
      configuration: configRead.path ?? 'none',
    }),
    trackName,
    consent: {
      allow: new Set(options.allow.words),
      confirm: options.confirm,
      rows: options.allow.most,
      from: config.consentFrom,
    },
    answers: [],
    leaseWaitMs: options.lockWait * 1000,
    env: process.env,
    cwd,
    home,
    startedAt,
  })
  return { config, signal: interruptible(given), project, open }
}

/** The invocation on the one database that the command line names. */
export async function readInput(
  { command, options, process, cleanup }: Pick<GivenLine, 'command' | 'options' | 'process' | 'cleanup'>,
  { open, signal }: CommonInput,
  emit: (event: Event) => void,
): Promise<Invocation> {
  let { url, source } = databaseUrl(options.databaseUrl, process.env)
  if (options.embedded) {
    const { startEmbedded } = await import('../database/embedded.js')
    const cwd = process.cwd()
    const server = await startEmbedded({
      dataDir: join(cwd, '.rethread/pg18'),
      from: [cwd, home],
      env: process.env,
    })
    cleanup.push(() => server.stop())
    url = server.url
    source = '--embedded'
  }
  if (url && !command.offline) url = usableUrl(url, process.env, emit)
  if (!url && !command.offline) throw new Failure('NO_DATABASE_URL', 'database')
  const invocation = open({ url, source, emit, signal })
  cleanup.push(invocation.close)
  return invocation
}

/** A URL with its password, which may come from libpq's files. Reports parameters without effect. */
export function usableUrl(url: string, env: NodeJS.ProcessEnv, emit: (event: Event) => void): string {
  const { ignored } = readAddress(url)
  if (ignored.length > 0)
    emit({ type: 'notice', text: `the database URL: ${ignored.join(', ')} ignored, not for PostgreSQL` })
  return withPassword(url, env)
}

/**
 * First Ctrl-C or SIGTERM: finish the batch and report. The second one ends the process at once and shows
 * what is in place.
 */
function interruptible({
  process,
  cleanup,
  interrupted,
}: Pick<GivenLine, 'process' | 'cleanup' | 'interrupted'>): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    interrupted(controller.signal.aborted)
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  cleanup.push(async () => {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  })
  return controller.signal
}
