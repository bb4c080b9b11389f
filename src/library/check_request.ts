import { describeIssue } from '../files/config.js'
import * as z from '../files/zod.js'
import { type HazardCode, hazards } from '../model/codes.js'
import { UsageError } from '../model/failure.js'
import { phases } from '../model/project.js'
import type {
  AdoptRequest,
  AssignRequest,
  BackfillRequest,
  BaselineRequest,
  ConsentRequest,
  CountSessionsRequest,
  ExportSessionRequest,
  ImportSessionRequest,
  MigrateRequest,
  OpenProjectOptions,
  PaceRequest,
  PlanRequest,
  ProveRequest,
  PruneRequest,
  QuarantinedRequest,
  RecoverSessionRequest,
  RepairRequest,
  RestoreRequest,
  RetryRequest,
  RollbackRequest,
  ScratchRequest,
  SessionRequest,
  SessionsRequest,
  TargetRequest,
  VerifyRequest,
} from './requests.js'

/** A validator for each value of a request. The compiler compares it with the request's type. */
export type RequestShape<Request> = { [Name in keyof Request]-?: z.ZodMiniType<Request[Name]> }

const anyText = z.optional(z.string())
const trueOrFalse = z.optional(z.boolean())
const wholeNumber = z.optional(z.int().check(z.gte(1, 'from 1')))
const hazard = z.enum(Object.keys(hazards) as [HazardCode], 'a hazard that rethread knows')
const consent: z.ZodMiniType<ConsentRequest | undefined> = z.optional(
  z.strictObject({
    allow: z.optional(z.array(hazard)),
    confirm: anyText,
    rows: z.optional(z.int().check(z.gte(0, 'from 0'))),
  }),
)

const target: RequestShape<TargetRequest> = {
  to: anyText,
  phase: z.optional(z.enum(phases, `one of ${phases.join(', ')}`)),
  backfills: trueOrFalse,
  consent,
}

const pace: RequestShape<PaceRequest> = {
  workers: wholeNumber,
  nice: z.optional(z.number().check(z.gte(0, 'from 0 to 100'), z.lte(100, 'from 0 to 100'))),
  throttleQuery: anyText,
}

const rollbackShape: RequestShape<RollbackRequest> = {
  to: anyText,
  steps: wholeNumber,
  all: trueOrFalse,
  consent,
}

const sessionFilters: RequestShape<CountSessionsRequest> = {
  filter: z.optional(z.record(z.string(), z.array(z.string()))),
  since: anyText,
  search: anyText,
  within: wholeNumber,
  withDeleted: trueOrFalse,
}

/** The pin and the configuration are validated elsewhere, with better messages. */
const checkedElsewhere = z.optional(z.any())

/** The values of each call. An unknown name is an error: a misspelt `backfills: false` would be ignored. */
export const shapes = {
  openProject: {
    databaseUrl: anyText,
    dir: anyText,
    layout: anyText,
    track: anyText,
    settings: z.optional(z.record(z.string(), z.string())),
    config: checkedElsewhere,
    embedded: trueOrFalse,
    lockWaitSeconds: z.optional(z.number().check(z.gte(0, 'from 0'))),
    reason: anyText,
    who: anyText,
    onEvent: z.optional(z.custom<NonNullable<OpenProjectOptions['onEvent']>>(isFunction, 'a function')),
    signal: z.optional(z.custom<AbortSignal>(isSignal, 'an AbortSignal')),
  } satisfies RequestShape<OpenProjectOptions>,
  plan: {
    ...target,
    sample: trueOrFalse,
    rehearse: trueOrFalse,
    rehearseUrl: anyText,
    visibility: trueOrFalse,
    oldApp: anyText,
    newApp: anyText,
    pin: trueOrFalse,
  } satisfies RequestShape<PlanRequest>,
  migrate: { ...target, ...pace, pin: checkedElsewhere } satisfies RequestShape<MigrateRequest>,
  baseline: { to: z.string() } satisfies RequestShape<BaselineRequest>,
  adopt: { to: anyText } satisfies RequestShape<AdoptRequest>,
  repair: {
    migration: z.string(),
    as: z.enum(['applied', 'not applied'], 'applied or not applied'),
    consent,
  } satisfies RequestShape<RepairRequest>,
  backfill: {
    ...pace,
    workspace: anyText,
    maxRows: wholeNumber,
    resume: trueOrFalse,
    consent,
  } satisfies RequestShape<BackfillRequest>,
  verify: {
    only: z.optional(z.array(z.string())),
    failOn: z.optional(z.enum(['warn', 'error'], 'warn or error')),
    sample: z.optional(z.int().check(z.gte(0, 'from 0'))),
    deep: trueOrFalse,
    asUser: anyText,
  } satisfies RequestShape<VerifyRequest>,
  prove: {
    sample: wholeNumber,
    proof: trueOrFalse,
    against: checkedElsewhere,
  } satisfies RequestShape<ProveRequest>,
  planRollback: rollbackShape,
  rollback: rollbackShape,
  restore: { archive: z.string(), consent } satisfies RequestShape<RestoreRequest>,
  quarantined: { id: z.string() } satisfies RequestShape<QuarantinedRequest>,
  retry: { reason: anyText, consent } satisfies RequestShape<RetryRequest>,
  assign: { workspace: z.string(), reason: anyText, consent } satisfies RequestShape<AssignRequest>,
  scratch: { consent } satisfies RequestShape<ScratchRequest>,
  countSessions: sessionFilters,
  sessions: {
    ...sessionFilters,
    limit: wholeNumber,
    allFields: trueOrFalse,
  } satisfies RequestShape<SessionsRequest>,
  session: {
    id: z.string(),
    limit: z.optional(z.nullable(z.int().check(z.gte(1)))),
  } satisfies RequestShape<SessionRequest>,
  exportSession: { id: z.string() } satisfies RequestShape<ExportSessionRequest>,
  importSession: { session: z.string(), consent } satisfies RequestShape<ImportSessionRequest>,
  recoverSession: { id: z.string(), consent } satisfies RequestShape<RecoverSessionRequest>,
  prune: {
    olderThanDays: wholeNumber,
    apply: trueOrFalse,
    delete: trueOrFalse,
    soft: trueOrFalse,
    archives: trueOrFalse,
    consent,
  } satisfies RequestShape<PruneRequest>,
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function isSignal(value: unknown): boolean {
  return value instanceof AbortSignal
}

/** The error for a wrong call of the library. */
export const wrongUsage = (call: string, reason: string): UsageError => new UsageError(call, reason)

/** Throws USAGE with everything that is wrong with a request. In TypeScript the compiler finds most of it. */
export function checkRequest<Request extends object>(
  call: string,
  request: Request,
  shape: RequestShape<Request>,
): void {
  const result = z.strictObject(shape).safeParse(request)
  if (!result.success) throw wrongUsage(call, result.error.issues.map(describeIssue).join('; '))
}
