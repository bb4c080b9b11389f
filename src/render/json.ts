import type { Report, ReportDocument } from '../model/report.js'
import { jsonText } from './escape.js'
import { defineRenderer } from './renderer.js'
import { summaryOf } from './summary.js'
import { worded } from './words/index.js'

/** The report as one JSON document. Its schema is published as `rethread/report.schema.json`. */
export function renderJson(report: Report): string {
  const text = JSON.stringify(documentOf(report), null, 2)
  // a session is JSON text already; parsing it would round long numbers
  const whole =
    report.session === undefined
      ? text
      : `${text.slice(0, text.lastIndexOf('\n}'))},\n  "session": ${report.session}\n}`
  return `${jsonText(whole)}\n`
}

function documentOf({
  pin: _,
  proof: __,
  fixUp: ___,
  session: ____,
  targets,
  ...report
}: Report): ReportDocument {
  return {
    ...report,
    summary: summaryOf(report),
    findings: report.findings.map(worded),
    ...(targets ? { targets: targets.map(t => ({ ...t, report: t.report && documentOf(t.report) })) } : {}),
  }
}

// values for programs are not changed; only characters with an effect are escaped
export default defineRenderer({ endings: ['.json'], safe: text => text, render: renderJson })
