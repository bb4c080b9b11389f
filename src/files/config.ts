import { existsSync } from 'node:fs'
import { type HazardLevel, hazardLevels } from '../model/codes.js'
import { Failure, noSuchFile } from '../model/failure.js'
import type { Mapping } from '../model/mapping.js'
import { type HistoryTool, historyTools } from '../model/other_tool.js'
import { readJson } from './json.js'

/** Values of `rethread.config.json`. Each has a default; flags and environment variables take precedence. */
export interface Config {
  track: string | null
  dir: string | null
  /** Layout of the files in the folder. Null to detect it. */
  layout: string | null
  /** Settings that every session gets as `rethread.<name>` for the SQL files. */
  settings: Record<string, string>
  /** First lock timeout of DDL in milliseconds. A waiting lock stalls the application at most that long. */
  lockTimeoutMs: number
  /** How long one step may try to get its locks, in seconds. */
  lockBudgetSeconds: number
  /** Target duration of a backfill batch in milliseconds. */
  batchTargetMs: number
  /**
   * How many rows of a backfill may fail before it stops. More failures point to another cause than the rows.
   */
  maxFailedRows: number
  /** How long, in seconds, failing rows are tried again with pauses before they count as failed. */
  retryFailedSeconds: number
  /**
   * WAL of the whole server in MB per second. Above it a backfill slows down; above twice the value it waits.
   * Null for no limit.
   */
  walMbPerSecond: number | null
  /**
   * What to do with triggers of the application that a backfill would fire. `fire` needs FIRES_TRIGGERS to be
   * allowed; `hold` disables them in the sessions of the backfill only.
   */
  triggers: 'fire' | 'hold'
  /** Hazards of this level and above must be allowed by `--allow`. */
  consentFrom: HazardLevel
  /** True for a protected database: a rollback needs `--confirm` even on a terminal. */
  protected: boolean
  /**
   * Free space of the server's disk in bytes, which SQL cannot find out. An archive that may not fit is
   * refused. Null if not configured.
   */
  diskFreeBytes: number | null
  /** The names that `init` bound a track to. `init` writes it and `init --check` reads it. */
  mapping: Mapping
  /**
   * By role that `mapping` says there is none of: what was there in its place, and is something else. `init`
   * writes it, and `init --check` is silent of it.
   */
  passedOver: Record<string, string>
  /** The tool whose history is written too, in the transaction of each step. Null for none. */
  history: HistoryTool | null
  /** Accepted findings of checks, by key, each with the reason and the last day on which it is accepted. */
  accepted: { key: string; reason: string; until: string }[]
}

/** The contents of a configuration file. Missing values have their defaults. */
export type ConfigValues = { [Name in keyof Config]?: NonNullable<Config[Name]> | undefined }

/** The configuration, and the source of each value for `doctor`. */
export interface ConfigRead {
  config: Config
  path: string | null
}

const defaults: Config = {
  track: null,
  dir: null,
  layout: null,
  settings: {},
  lockTimeoutMs: 50,
  lockBudgetSeconds: 120,
  batchTargetMs: 40,
  maxFailedRows: 1000,
  retryFailedSeconds: 15,
  walMbPerSecond: null,
  triggers: 'fire',
  consentFrom: 'outage',
  protected: false,
  diskFreeBytes: null,
  mapping: {},
  passedOver: {},
  history: null,
  accepted: [],
}

/** Name of the configuration file in the working directory. */
export const configName = 'rethread.config.json'

/** Reads and validates the configuration. Loads zod only if the file exists. */
export async function readConfig(path: string, required: boolean): Promise<ConfigRead> {
  if (!existsSync(path)) {
    if (required) throw new Failure('BAD_CONFIG', path, { reason: noSuchFile })
    return { config: defaults, path: null }
  }
  const read = readJson(path)
  if ('reason' in read) throw new Failure('BAD_CONFIG', path, read)
  return { config: await parseConfig(read.json, path), path }
}

/** The shape of the file. Loads zod, so only for whoever reads one. */
async function configSchema() {
  const z = await import('./zod.js')
  const settingName = z.string().check(z.regex(/^[a-z][a-z0-9_]*$/, 'a setting is lower_case'))
  const mappedColumn = z.strictObject({
    column: z.string(),
    type: z.optional(z.string()),
    reads: z.optional(z.string().check(z.regex(/\{\}/, 'SQL with {} for the column'))),
    writes: z.optional(z.string().check(z.regex(/\{\}/, 'SQL with {} for the value'))),
    values: z.optional(z.string()),
    makes: z.optional(z.string()),
    number: z.optional(z.boolean()),
    positive: z.optional(z.boolean()),
    short: z.optional(z.boolean()),
    always: z.optional(z.boolean()),
    probe: z.optional(z.string()),
  })
  return z.strictObject({
    $schema: z.optional(z.string()),
    track: z.optional(z.string()),
    dir: z.optional(z.string()),
    layout: z.optional(z.string()),
    settings: z.optional(z.record(settingName, z.string())),
    lockTimeoutMs: z.optional(
      z.int().check(z.gte(5), z.lte(80, 'stay under 80 ms: the application waits that long')),
    ),
    lockBudgetSeconds: z.optional(z.int().check(z.gte(1), z.lte(3600))),
    batchTargetMs: z.optional(z.int().check(z.gte(5), z.lte(5000))),
    maxFailedRows: z.optional(z.int().check(z.gte(1), z.lte(100_000))),
    retryFailedSeconds: z.optional(z.int().check(z.gte(0), z.lte(600))),
    walMbPerSecond: z.optional(z.number().check(z.gt(0))),
    triggers: z.optional(z.enum(['fire', 'hold'], 'fire or hold')),
    consentFrom: z.optional(z.enum(hazardLevels, `one of ${hazardLevels.join(', ')}`)),
    protected: z.optional(z.boolean()),
    diskFreeBytes: z.optional(z.int().check(z.gte(0))),
    mapping: z.optional(z.record(z.string(), z.union([z.string(), z.nullable(mappedColumn)]))),
    passedOver: z.optional(z.record(z.string(), z.string())),
    history: z.optional(z.enum(historyTools, `one of ${historyTools.join(', ')}`)),
    accepted: z.optional(
      z.array(
        z.strictObject({
          key: z.string(),
          reason: z.string().check(z.minLength(1, 'say why')),
          until: z.string().check(z.regex(/^\d{4}-\d{2}-\d{2}$/, 'a day such as 2026-12-31')),
        }),
      ),
    ),
  })
}

/**
 * Validates a configuration and fills in the defaults; `where` names it in the
 * BAD_CONFIG that has all faults.
 */
export async function parseConfig(json: unknown, where: string): Promise<Config> {
  const result = (await configSchema()).safeParse(json)
  if (!result.success) {
    const reason = result.error.issues.map(describeIssue).join('; ')
    throw new Failure('BAD_CONFIG', where, { reason })
  }
  const given = Object.fromEntries(
    Object.entries(result.data).filter(([key, value]) => key !== '$schema' && value !== undefined),
  )
  return { ...defaults, ...given } as Config
}

/** One fault in words. zod/mini has no messages, and loading its locales would take longer. */
export function describeIssue(issue: {
  code?: string
  path: PropertyKey[]
  message: string
  keys?: string[]
  expected?: string
  /** For an invalid key: its own issues. */
  issues?: { message: string }[]
}): string {
  const at = issue.path.length > 0 ? issue.path.map(String).join('.') : 'the document'
  if (issue.code === 'unrecognized_keys')
    return `${at}: unknown ${issue.keys?.map(k => `\`${k}\``).join(', ')}`
  if (issue.code === 'invalid_type') return `${at}: wants ${issue.expected}`
  // the message of an invalid key is in its own issue
  return `${at}: ${issue.code === 'invalid_key' && issue.issues ? issue.issues.map(i => i.message).join('; ') : issue.message}`
}
