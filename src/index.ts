/** The library door: the verbs that the commands call, and the types that flow through. */
export { baseline } from './engine/baseline.js'
export type { Clock, Context } from './engine/context.js'
export { doctor } from './engine/doctor.js'
export { backfill } from './engine/fill.js'
export { type MigrateWish, migrate } from './engine/migrate.js'
export { mutate } from './engine/mutants.js'
export { prove } from './engine/prove.js'
export { type PruneWish, prune, pruneArchives } from './engine/prune.js'
export { surveyWithRehearsal } from './engine/rehearsal.js'
export { archives, type RestoreWish, restore } from './engine/restore.js'
export { type RollbackWish, rollback } from './engine/rollback.js'
export { type SessionsWish, sessionsList, sessionsShow } from './engine/sessions.js'
export { stats } from './engine/stats.js'
export { status } from './engine/status.js'
export { type SurveyWish, survey, surveyRollback, surveyWithSample } from './engine/survey.js'
export { testRollbacks } from './engine/updown.js'
export { type VerifyWish, verify } from './engine/verify.js'
export { type Code, codes, type HazardCode, hazards } from './model/codes.js'
export type { Event } from './model/event.js'
export { Failure, Failures, findingsOf, UsageError } from './model/failure.js'
export type { Consent, Plan, Step } from './model/plan.js'
export {
  exitCodes,
  type Facts,
  type Finding,
  type FindingOf,
  type Report,
  type Verdict,
} from './model/report.js'
export type { Check, Migration, Track, TrackInfo, Workspace } from './model/workspace.js'
export { discover } from './workspace/discover.js'
