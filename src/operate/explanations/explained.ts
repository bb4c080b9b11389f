import type { Code, HazardCode } from '../../model/codes.js'

/** What `rethread explain` says about a code. Each part is one or two whole sentences. */
export interface Explanation {
  /** What has happened, or what the statement would do. */
  means: string
  /** What follows from it for the data, the application or the run. */
  matters: string
  /** What the reader does next. */
  action: string
}

/** Explanations of some finding codes: one file of them. */
export type Explanations = Partial<Record<Code, Explanation>>

/** Explanations of all hazards. */
export type HazardExplanations = Record<HazardCode, Explanation>

/** The three parts of an explanation. */
export const explained = (means: string, matters: string, action: string): Explanation => ({
  means,
  matters,
  action,
})
