/**
 * The shape of a report: the source of the published JSON Schema and of the types in this project. At run
 * time nothing imports this file except the build, because loading zod takes time.
 */
import { z } from 'zod'

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

const findingSchema = z.object({
  code: z.string().describe('stable name in capitals; `rethread explain <code>` explains it'),
  level: z.enum(['info', 'warn', 'error', 'refused']),
  subject: z.string().describe('the object, file or setting that the finding is about'),
  facts: z.record(z.string(), z.union([scalar, z.array(z.string())])),
  message: z.string().describe('one sentence for people'),
  fix: z.string().nullable().describe('the command or SQL that fixes it, or null'),
  targets: z
    .object({ names: z.array(z.string()), of: z.number(), list: z.string() })
    .optional()
    .describe('of a command with --targets: in which databases, and of which list'),
})

export const targetSchema = z.object({
  host: z.string(),
  port: z.number(),
  database: z.string(),
  role: z.string(),
  server: z.string().describe('version as the server gives it, such as 18.4'),
  seesAllRows: z.boolean().describe('whether row level security hides nothing from this role'),
  why: z.string().describe('why it does, or does not'),
})

/** A lock on a table that existed before. The table is null if it is known only when the statement runs. */
const lockSchema = z.object({
  statement: z.number().describe('which statement of the file, from 1'),
  table: z.string().nullable(),
  mode: z.string().describe('as PostgreSQL names it, such as ACCESS EXCLUSIVE'),
  blocks: z.enum(['reads and writes', 'writes', 'nothing']),
  heldMs: z.number().nullable().describe('measured, from its statement to the end of its transaction'),
})

/** The expected cost of a backfill. */
const estimateSchema = z.object({
  rows: z.number().describe('rows that it writes, as the planner of the server expects'),
  secondsLow: z.number(),
  secondsHigh: z.number(),
  basis: z
    .enum(['usual', 'measured', 'sampled'])
    .describe('a usual rate, the rate of an earlier run here, or batches that were rolled back'),
})

export const stepSchema = z.object({
  track: z.string(),
  migration: z.string(),
  title: z.string(),
  direction: z.enum(['up', 'down']),
  phase: z.enum(['expand', 'backfill', 'contract']),
  transaction: z.enum(['one', 'none', 'parts']),
  outcome: z.enum(['planned', 'done', 'failed', 'rolled-back', 'interrupted', 'not-run']),
  durationMs: z.number().nullable(),
  attempts: z.number(),
  reason: z.string().nullable().describe('why it did not run, or what was skipped'),
  hazards: z.array(z.object({ code: z.string(), subject: z.string(), detail: z.string() })),
  statements: z.array(z.string()),
  rows: z.number().nullable(),
  estimate: estimateSchema.optional().describe('of a backfill; of a plan'),
  takesOut: z.number().optional().describe('rows that it takes out of their table now; of a plan'),
  locks: z.array(lockSchema).describe('what the statements take, as they say; of a plan'),
  traces: z
    .array(
      z.object({
        statement: z.number(),
        text: z.string(),
        ms: z.number(),
        locks: z.array(lockSchema).describe('really taken, by pg_locks'),
        rewritten: z.array(z.string()),
        rows: z.number(),
        walBytes: z.number(),
      }),
    )
    .describe('what each statement did; of a rehearsal'),
  targets: z.array(z.string()).optional().describe('of a command with --targets: in which databases'),
})

export const checkSchema = z.object({
  track: z.string(),
  check: z.string(),
  title: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  outcome: z.enum(['pass', 'found', 'failed', 'skipped']),
  applies: z
    .enum(['now', 'not yet', 'no longer', 'never'])
    .describe('whether it means anything at what is applied; where it does not, it is skipped'),
  found: z.array(
    z.object({
      object: z.string(),
      detail: z.string(),
      key: z.string().describe('stable name, by which the configuration may accept it'),
      accepted: z.string().nullable().describe('why it was accepted and until when, else null'),
      preExisting: z
        .boolean()
        .describe('true of an object that is as it was before the first step of the track: a warning'),
    }),
  ),
  more: z.boolean().describe('true when there are more rows than shown'),
  reason: z
    .string()
    .nullable()
    .describe('why it was skipped or failed, or why one that passes has looked at nothing'),
  fix: z.string().nullable().describe('what to do about what it finds; null where its file does not say'),
  durationMs: z.number(),
})

export const backfillSchema = z.object({
  track: z.string(),
  migration: z.string(),
  state: z
    .enum(['pending', 'running', 'stopped', 'paused', 'failed', 'done'])
    .describe('stopped: begun, not finished, and nobody is at work on it'),
  rows: z.number().describe('rows written so far'),
  rangesDone: z.number(),
  ranges: z.number(),
  fraction: z.number().optional().describe('share of its pages that is done, from 0 to 1'),
  batches: z.number(),
  quarantined: z.number().describe('rows that were set aside, with the reason of the file'),
  failed: z.number().describe('rows that failed: they are in their table, and tried again by the next run'),
  passes: z.number().describe('light passes over each window, so that updates stay on their page'),
  seconds: z.number(),
  rowsPerSecond: z.number(),
  etaSeconds: z
    .number()
    .nullable()
    .describe('from the pages left and the pace of the run; null when unknown or nobody is at work'),
  counted: z
    .object({ units: z.number(), rows: z.number(), hash: z.string() })
    .nullable()
    .describe(
      'rows and order-free content hash of the table after the backfill, over all its units; rethread.tallies has them by unit and by page range',
    ),
  slowedBy: z.string().nullable().describe('why it is slow or waits, else null'),
})

export const tableSchema = z.object({
  title: z.string(),
  columns: z.array(z.string()),
  rows: z.array(z.array(scalar)),
})

/** A table in a picture of the schema. */
export const tablePictureSchema = z.object({
  table: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean(), key: z.boolean() })),
  references: z.array(z.object({ columns: z.array(z.string()), to: z.string() })),
})

/** A summary of the whole report, made from its other parts. */
export const summarySchema = z.object({
  state: z.enum([
    'ready',
    'nothing-to-do',
    'decide',
    'refused',
    'failed',
    'stopped',
    'attention',
    'done',
    'passed',
  ]),
  verdict: z.string().describe('the state in words, such as Needs a decision'),
  lines: z
    .array(z.object({ name: z.string(), text: z.string(), level: z.enum(['plain', 'warn', 'bad']) }))
    .describe('what happens, how long, who waits, what becomes of data, what was not looked at'),
  need: z
    .object({ text: z.string(), command: z.string().nullable() })
    .nullable()
    .describe('what is needed from the reader, with one command to paste'),
})

const oneReportSchema = z.object({
  format: z.literal(1),
  command: z.string(),
  startedAt: z.string().optional().describe('when the command began, as ISO 8601 in UTC'),
  run: z.number().optional().describe('number of the run in the ledger; none where nothing was written'),
  limits: z
    .object({
      lockTimeoutMs: z
        .number()
        .describe('how long a statement waits for its lock before it lets others pass'),
      batchMs: z.number().describe('how long a batch of a backfill is meant to take'),
    })
    .optional(),
  next: z.string().optional().describe('the command that executes what was planned or refused'),
  summary: summarySchema.optional().describe('in documents; added by the renderer'),
  verdict: z.enum(['clean', 'attention', 'failed', 'refused', 'interrupted']),
  target: targetSchema.nullable(),
  steps: z.array(stepSchema),
  checks: z.array(checkSchema),
  backfill: z.array(backfillSchema),
  tables: z.array(tableSchema),
  findings: z.array(findingSchema),
  schema: z
    .object({
      before: z.array(tablePictureSchema),
      after: z.array(tablePictureSchema),
      from: z
        .enum(['statements', 'rehearsal'])
        .describe('whether `after` is read from the statements, or from the catalog of a rehearsal'),
    })
    .optional()
    .describe('the tables that the plan touches; of a plan'),
  session: z
    .unknown()
    .optional()
    .describe(
      'of `sessions export` and `sessions recover`: the whole session, as `sessions import` takes it',
    ),
})

export const targetReportSchema = z.object({
  name: z.string().describe('of the database, in the list'),
  exitCode: z
    .number()
    .nullable()
    .describe('what the command alone would have ended with; null where it did not run'),
  seconds: z.number().nullable(),
  report: oneReportSchema.nullable().describe('null where it did not run: NOT_STARTED says why'),
})

export const reportSchema = oneReportSchema.extend({
  targets: z
    .array(targetReportSchema)
    .optional()
    .describe('of a command with --targets: each database of the list, in its order'),
})

/** The JSON Schema of a report, as it is written to `dist/report.schema.json`. */
export const reportJsonSchema = (): unknown => z.toJSONSchema(reportSchema)
