import { hazards } from '../model/codes.js'
import type { Consent, Plan } from '../model/plan.js'
import { type Finding, finding } from '../model/report.js'

/** Pure: what a plan does that must be allowed by name and was not. One finding, with the flags ready to paste. */
export function guard(plan: Plan, consent: Consent, confirmDatabase: string | null = null): Finding[] {
  const needed = new Map<string, string[]>()
  for (const step of plan.steps) {
    for (const h of step.hazards) {
      if (!hazards[h.code].consent || consent.allow.has(h.code)) continue
      needed.set(h.code, [...(needed.get(h.code) ?? []), `${step.migration.name}: ${h.detail}`])
    }
  }
  const confirm = confirmDatabase !== null && consent.confirm !== confirmDatabase ? confirmDatabase : null
  if (needed.size === 0 && confirm === null) return []
  return [
    finding('CONSENT_NEEDED', plan.track, {
      allow: [...new Set([...consent.allow, ...needed.keys()])],
      missing: [...needed.keys()],
      confirm,
      because: [...needed].flatMap(([code, why]) => why.map(w => `${code}: ${w}`)),
    }),
  ]
}
