import type { Report, ReportDocument } from '../model/report.js'
import { jsonText } from './escape.js'
import { defineRenderer } from './renderer.js'
import { summaryOf } from './summary.js'
import { worded } from './words/index.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export function renderJson({ pin: _, proof: __, fixUp: ___, ...report }: Report): string {
  const document: ReportDocument = {
    ...report,
    summary: summaryOf(report),
    findings: report.findings.map(worded),
  }
  return `${jsonText(JSON.stringify(document, null, 2))}\n`
}

// what is read by programs is not changed, only written so that it does nothing where it is shown
export default defineRenderer({ endings: ['.json'], safe: text => text, render: renderJson })
