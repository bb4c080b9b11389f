import type { Report, ReportDocument } from '../model/report.js'
import { jsonText } from './escape.js'
import { defineRenderer } from './renderer.js'
import { worded } from './words/index.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export const renderJson = (report: Report): string =>
  `${jsonText(JSON.stringify(documentOf(report), null, 2))}\n`

function documentOf({ pin: _, proof: __, fixUp: ___, targets, ...report }: Report): ReportDocument {
  return {
    ...report,
    findings: report.findings.map(worded),
    ...(targets ? { targets: targets.map(t => ({ ...t, report: t.report && documentOf(t.report) })) } : {}),
  }
}

// what is read by programs is not changed, only written so that it does nothing where it is shown
export default defineRenderer({ endings: ['.json'], safe: text => text, render: renderJson })
