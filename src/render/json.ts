import type { Report, ReportDocument } from '../model/report.js'
import { defineRenderer } from './renderer.js'
import { worded } from './words/index.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export function renderJson({ pin: _, ...report }: Report): string {
  const document: ReportDocument = { ...report, findings: report.findings.map(worded) }
  return `${JSON.stringify(document, null, 2)}\n`
}

export default defineRenderer({ render: renderJson })
