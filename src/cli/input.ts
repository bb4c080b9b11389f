import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command, GlobalOptions, Invocation } from '../command.js'
import { readAddress } from '../database/address.js'
import { configName, readConfig } from '../files/config.js'
import { home, packageVersion } from '../files/package.js'
import { layoutsFor } from '../library/discovery.js'
import { machine } from '../library/machine.js'
import type { Event } from '../model/event.js'
import { Failure } from '../model/failure.js'
import { exitCodes } from '../model/report.js'
import { openContext, sourcesTable } from '../plan/open_context.js'
import { rootOf } from './flags.js'
import { urlOfEnvironment, withPassword } from './libpq.js'

/** The process, handed down from main: nothing else reads it. */
export type Process = NodeJS.Process

/** The target and where it was named: flag beats environment. */
function databaseUrl(given: string | null, env: NodeJS.ProcessEnv): { url: string; source: string } {
  if (given) return { url: given, source: '--database-url' }
  for (const name of ['RETHREAD_DATABASE_URL', 'DATABASE_URL', 'SUPABASE_DB_URL']) {
    if (env[name]) return { url: env[name]!, source: name }
  }
  const url = urlOfEnvironment(env)
  if (url) return { url, source: env.PGSERVICE ? `service ${env.PGSERVICE}` : 'PG* variables' }
  return { url: '', source: 'not set' }
}

/** The target's URL, whose secrets nothing may show; empty where none can be read. */
export function urlOrNone(given: string | null, env: NodeJS.ProcessEnv): string {
  try {
    return databaseUrl(given, env).url
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return ''
  }
}

/**
 * Reads and checks everything that a command needs: files, configuration, environment. What must be
 * closed goes to `cleanup`.
 */
export async function readInput(given: {
  command: Command
  args: string[]
  options: GlobalOptions
  process: Process
  emit: (event: Event) => void
  /** Says what happens now that somebody has pressed Ctrl-C, once or again. */
  interrupted: (again: boolean) => void
  cleanup: (() => Promise<void>)[]
}): Promise<Invocation> {
  const { command, args, options, process, emit, cleanup } = given
  const cwd = process.cwd()
  const configRead = await readConfig(resolve(cwd, options.config ?? configName), Boolean(options.config))
  const { config } = configRead
  const root = rootOf(options.dir ?? null, config.dir, cwd, home)
  if (options.dir && !existsSync(root)) throw new Failure('NO_TRACKS', root)
  let { url, source } = databaseUrl(options.databaseUrl, process.env)
  if (options.embedded) {
    const { startEmbedded } = await import('../database/embedded.js')
    const server = await startEmbedded({
      dataDir: join(cwd, '.rethread/pg18'),
      from: [cwd, home],
      env: process.env,
    })
    cleanup.push(() => server.stop())
    url = server.url
    source = '--embedded'
  }
  if (url && !command.offline) {
    const { ignored } = readAddress(url)
    if (ignored.length > 0)
      emit({ type: 'notice', text: `the database URL: ${ignored.join(', ')} ignored, not for PostgreSQL` })
    url = withPassword(url, process.env)
  }
  if (!url && !command.offline) throw new Failure('NO_DATABASE_URL', 'database')
  const layouts = await layoutsFor(root, (command.writesLayout ? null : options.layout) ?? config.layout)
  const trackName = options.track ?? config.track
  const here = machine()
  const opened = openContext({
    url,
    config,
    root,
    beside: cwd,
    home,
    layouts,
    track: trackName,
    reason: options.reason,
    version: packageVersion(),
    machine: { ...here, who: process.env.GITHUB_ACTOR ?? process.env.USER ?? here.who },
    emit,
    signal: interruptible(given),
  })
  cleanup.push(opened.close)
  return {
    args,
    ...opened,
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
    startedAt: new Date(),
  }
}

/** First Ctrl-C or SIGTERM: finish the batch and report. The second ends at once and says what is in place. */
function interruptible({
  process,
  cleanup,
  interrupted,
}: {
  process: Process
  cleanup: (() => Promise<void>)[]
  interrupted: (again: boolean) => void
}): AbortSignal {
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
