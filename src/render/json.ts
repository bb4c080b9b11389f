import type { Report } from '../model/report.js'
import { defineRenderer } from '../renderer.js'
import { worded } from './words.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export function renderJson({ pin: _, ...report }: Report): string {
  return `${JSON.stringify({ ...report, findings: report.findings.map(worded) }, null, 2)}\n`
}

export default defineRenderer({ render: renderJson })
