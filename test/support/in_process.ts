import { type Finding, openProject, type Report, worded } from '../../src/index.js'
import type { OpenProjectOptions } from '../../src/library/requests.js'
import { record } from './recorder.js'

/** What a verb came to, with the sentences of its findings, which are on record like those of a command. */
export interface Said extends Omit<Report, 'findings'> {
  findings: (Finding & { message: string; fix: string | null })[]
  codes: string[]
}

/** A project of the library: a verb in this process costs no start of a command line. */
export const inProcess = (url: string, options: Omit<OpenProjectOptions, 'databaseUrl'> = {}) =>
  openProject({ databaseUrl: url, ...options })

/** The report of a verb with its sentences. */
export async function said(report: Report | Promise<Report>): Promise<Said> {
  const { findings, ...rest } = await report
  const words = await Promise.all(findings.map(worded))
  record(words as never)
  return { ...rest, findings: words as never, codes: findings.map(f => f.code) }
}

/** The sentence of the first finding of a code; fails with what was there instead. */
export function sentenceOf(report: Said, code: string): string {
  const found = report.findings.find(f => f.code === code)
  if (!found) throw new Error(`no ${code}: ${JSON.stringify(report.findings, null, 1)}`)
  return found.message
}
