import type { Code, HazardCode } from '../../model/codes.js'
import type { Explanation } from '../../model/explanation.js'

/** Explanations of some finding codes, in one file. */
export type Explanations = Partial<Record<Code, Explanation>>

/** Explanations of all hazards. */
export type HazardExplanations = Record<HazardCode, Explanation & { example: string }>

/** The three parts of an explanation. */
export const explained = (means: string, matters: string, action: string): Explanation => ({
  means,
  matters,
  action,
})
