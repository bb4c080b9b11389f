import type { z } from 'zod'
import type { Report } from '../model/report.js'
import type { reportSchema } from '../model/schema.js'
import { defineRenderer } from './renderer.js'
import { worded } from './words/index.js'

/** The report as exactly one JSON document; its schema ships as `rethread/report.schema.json`. */
export function renderJson({ pin: _, ...report }: Report): string {
  const document: z.infer<typeof reportSchema> = { ...report, findings: report.findings.map(worded) }
  return `${JSON.stringify(document, null, 2)}\n`
}

export default defineRenderer({ render: renderJson })
