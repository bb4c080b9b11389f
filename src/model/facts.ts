import type { Code, Level } from './codes.js'
import type { Excusable, NoFacts } from './fact_shapes.js'
import type { FactsOfChecks } from './facts_of_checks.js'
import type { FactsOfFiles } from './facts_of_files.js'
import type { FactsOfFit } from './facts_of_fit.js'
import type { FactsOfFleet } from './facts_of_fleet.js'
import type { FactsOfLayouts } from './facts_of_layouts.js'
import type { FactsOfRuns } from './facts_of_runs.js'
import type { FactsOfSessions } from './facts_of_sessions.js'
import type { FactsOfStatus } from './facts_of_status.js'
import type { FactsOfTools } from './facts_of_tools.js'
import type { FactsOfUsage } from './facts_of_usage.js'

/** What one fact can be: a value of JSON, or a list of texts. */
export type FactValue = string | number | boolean | null | string[]

/** Codes that no file of facts lists. */
type Unlisted = Exclude<
  Code,
  | keyof FactsOfChecks
  | keyof FactsOfFiles
  | keyof FactsOfFit
  | keyof FactsOfFleet
  | keyof FactsOfLayouts
  | keyof FactsOfRuns
  | keyof FactsOfSessions
  | keyof FactsOfStatus
  | keyof FactsOfTools
  | keyof FactsOfUsage
>

/** A compile error that names the codes without facts, and the file to add them to. */
type Complete<C> = [C] extends [never]
  ? true
  : `${C & string} has no facts: add them to src/model/facts_of_files.ts or src/model/facts_of_runs.ts`

true satisfies Complete<Unlisted>

/**
 * The facts of every finding, by code. `finding()` and `Failure` take them, and `render/words/` makes
 * sentences from them. Narrow on `code` to read those of a finding. No fact is ever omitted: an unknown one
 * is null.
 */
export interface Facts
  extends FactsOfChecks,
    FactsOfFiles,
    FactsOfFit,
    FactsOfFleet,
    FactsOfLayouts,
    FactsOfRuns,
    FactsOfSessions,
    FactsOfStatus,
    FactsOfTools,
    FactsOfUsage,
    Record<Unlisted, NoFacts> {}

/** Codes whose finding a comment in the SQL can excuse. */
export type ExcusableCode = { [C in Code]: Facts[C] extends Excusable ? C : never }[Code]

/** The databases of a list that a finding is about. */
export interface OfFleet {
  /** Their names, in the order of the list. */
  names: string[]
  /** How many databases the list has. */
  of: number
  /** The list, as `--targets` takes it. */
  list: string
}

/** How to type a command in the place where a report is read. */
export interface TypedAs {
  /** The command that starts rethread, such as `npx rethread`. */
  program: string
  /** Flags that select the same files, each with a space in front. */
  flags: string
  /** Names of all commands. */
  commands: string[]
}

/**
 * Something that a command reports: its kind (`code`), severity (`level`), the object that it is about
 * (`subject`) and its values (`facts`). For a command over many databases also `targets`.
 */
export type FindingOf<C extends Code> = {
  [K in C]: {
    code: K
    level: Level
    subject: string
    facts: Facts[K]
    targets?: OfFleet
    typedAs?: TypedAs
  }
}[C]

/** Any finding. Narrowing on `code` gives the type of its facts. */
export type Finding = FindingOf<Code>

/** If a code is one of several, its facts must suit all of them. */
type FactsOf<C extends Code> = (C extends Code ? (facts: Facts[C]) => void : never) extends (
  facts: infer F,
) => void
  ? F
  : never

/** The arguments after code and subject. Facts may be omitted only if the code has none. */
export type WithFacts<C extends Code, More extends unknown[]> =
  FactsOf<C> extends NoFacts ? [facts?: NoFacts, ...more: More] : [facts: FactsOf<C>, ...more: More]
