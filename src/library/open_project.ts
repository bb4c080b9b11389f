import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readAddress } from '../database/address.js'
import { isLost, serverFault } from '../database/faults.js'
import { type Config, parseConfig, readConfig } from '../files/config.js'
import { home, packageVersion } from '../files/package.js'
import type { Event } from '../model/event.js'
import { Failure, Failures, findingsOf, isSystemError } from '../model/failure.js'
import { emptyReport, type Report, verdictOf } from '../model/report.js'
import { type Opening, openContext, sourcesTable } from '../plan/open_context.js'
import { checkRequest, shapes, wrongUsage } from './check_request.js'
import { layoutsFor } from './discovery.js'
import { machine, momentNow } from './machine.js'
import type { OpenedProject, Verbs } from './opened_project.js'
import type { OpenProjectOptions } from './requests.js'
import { startTrace } from './tracing.js'
import { type Call, type Verb, verbs } from './verbs.js'

/**
 * Opens a project: a database, and the folder with its track. Does not connect, unless `embedded` is set.
 * Rejects with a `Failure` for a wrong option: USAGE, BAD_URL, BAD_CONFIG, NO_TRACKS for a folder that does
 * not exist, NO_EMBEDDED.
 */
export async function openProject(options: OpenProjectOptions): Promise<OpenedProject> {
  checkRequest('openProject()', options, shapes.openProject)
  const { databaseUrl, embedded = false } = options
  if (!databaseUrl === !embedded)
    throw wrongUsage('openProject()', 'it takes either a databaseUrl, which is not empty, or embedded: true')
  if (databaseUrl) readAddress(databaseUrl)
  const opening = await readOpenOptions(options)
  const server = embedded ? await startServer() : null
  const call = caller({ ...opening, url: databaseUrl ?? server!.url }, options)
  let closed = false
  const method =
    (name: string, verb: Verb<object>) =>
    async (request: object = {}) => {
      if (closed) throw wrongUsage(`${name}()`, 'the project is closed')
      checkRequest(`${name}()`, request, verb.shape)
      return call(verb, request)
    }
  const methods = Object.entries(verbs).map(([name, verb]) => [name, method(name, verb as Verb<object>)])
  return {
    ...(Object.fromEntries(methods) as Verbs),
    embeddedUrl: server?.url ?? null,
    close: async () => {
      closed = true
      await server?.stop()
    },
  }
}

/** The options that are the same for every call, without the URL and the event handler. */
type Prepared = Omit<Opening, 'url' | 'emit'>

async function readOpenOptions(options: OpenProjectOptions): Promise<Prepared> {
  const config = await configOf(options)
  const dir = options.dir ?? config.dir
  const root = dir === null ? home : resolve(dir)
  if (!existsSync(root)) throw new Failure('NO_TRACKS', root)
  const here = machine()
  return {
    config,
    root,
    beside: dir === null ? resolve('.') : root,
    home,
    layouts: await layoutsFor(root, options.layout ?? config.layout),
    track: options.track ?? config.track,
    reason: options.reason ?? null,
    version: packageVersion(),
    machine: { ...here, who: options.who ?? here.who },
    signal: options.signal ?? new AbortController().signal,
  }
}

/** Calls a verb with a context of its own. Its events go to the handler, and failures become a report. */
function caller(opening: Omit<Opening, 'emit'>, options: OpenProjectOptions) {
  const onEvent = options.onEvent ?? (() => {})
  return async (verb: Verb<object>, request: object): Promise<Report> => {
    const events = guarded(onEvent)
    const trace = await startTrace(verb.command)
    const emit = (event: Event): void => {
      trace?.event(event)
      events.emit(event)
    }
    const opened = openContext({ ...opening, emit })
    const call: Call = {
      ...opened,
      config: opening.config,
      named: opening.track,
      leaseWaitMs: (options.lockWaitSeconds ?? 60) * 1000,
      sources: sourcesOf(options, opening),
    }
    const startedAt = momentNow()
    const work = () => reported(verb.command, () => verb.run(call, request))
    const ended = await (trace ? trace.run(work) : work()).finally(opened.close)
    const report = opened.stamped(ended, startedAt)
    report.findings.unshift(...opened.layoutFindings())
    events.rethrow()
    return report
  }
}

/** The configuration, with the values of `openProject`, which take precedence. */
async function configOf({ config: given = {}, settings = {} }: OpenProjectOptions): Promise<Config> {
  const config =
    typeof given === 'string'
      ? (await readConfig(resolve(given), true)).config
      : await parseConfig(given, 'config of openProject()')
  // settings become SQL, so their names are checked like those of a file
  return parseConfig({ ...withoutNulls(config), settings: { ...config.settings, ...settings } }, 'settings')
}

const withoutNulls = (config: Config): object =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null))

async function startServer() {
  const { startEmbedded } = await import('../database/embedded.js')
  return startEmbedded({ dataDir: resolve(join('.rethread', 'pg18')), from: [resolve('.'), home] })
}

/**
 * Wraps an event handler. Its first error is kept and thrown at the end, so that it does not interrupt a run.
 */
function guarded(onEvent: (event: Event) => void): { emit: (event: Event) => void; rethrow: () => void } {
  let thrown: { error: unknown } | null = null
  return {
    emit: event => {
      if (thrown) return
      try {
        onEvent(event)
      } catch (error) {
        thrown = { error }
      }
    },
    rethrow: () => {
      if (thrown) throw thrown.error
    },
  }
}

/**
 * Returns a report for what the files, the server and the guards say, as on the command line. Throws wrong
 * usage, which the caller can fix, and unexpected errors with their stacks.
 */
async function reported(command: string, run: () => Promise<Report>): Promise<Report> {
  try {
    return await run()
  } catch (error) {
    const usage = error instanceof Failure && error.finding.code === 'USAGE'
    const known = error instanceof Failure || error instanceof Failures || isSystemError(error)
    if (usage || !(known || serverFault(error) || isLost(error))) throw error
    const report = { ...emptyReport(command), findings: findingsOf(error) }
    return { ...report, verdict: verdictOf(report) }
  }
}

const sourcesOf = (options: OpenProjectOptions, { config, root }: Prepared) =>
  sourcesTable({
    database: options.embedded ? 'embedded' : 'databaseUrl',
    folder: options.dir ? 'dir' : root === home ? 'shipped tracks' : root,
    track: options.track ? 'track' : config.track ? 'config' : 'chosen by the database',
    configuration:
      typeof options.config === 'string' ? options.config : options.config ? 'given as values' : 'none',
  })
