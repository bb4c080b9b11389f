/** The library: open a project, call its verbs, and get a report from each. docs/library.md has examples. */

export type { ConfigValues } from './files/config.js'
export { openProject } from './library/open_project.js'
export type { OpenedProject, Verbs } from './library/opened_project.js'
export { type RenderOptions, render } from './library/render.js'
export type {
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
} from './library/requests.js'
export { type Code, codes, type HazardCode, type HazardLevel, hazards, type Level } from './model/codes.js'
export type { Blocker, Event } from './model/event.js'
export { Failure, UsageError } from './model/failure.js'
export type { Pin } from './model/pin.js'
export type { Phase } from './model/project.js'
export type { KeptProof } from './model/proof.js'
export {
  type BackfillResult,
  type CheckResult,
  exitCodes,
  type Facts,
  type Finding,
  type FindingOf,
  type Report,
  type StepResult,
  type Table,
  type TargetInfo,
  type Verdict,
} from './model/report.js'
export { worded } from './render/words/index.js'
