import type { Report } from '../model/report.js'
import { worded } from './words.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export const renderJson = (report: Report): string =>
  JSON.stringify({ ...report, findings: report.findings.map(worded) }, null, 2) + '\n'
