import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codes } from '../../src/model/codes.js'

/** Folder that the workers of a run of tests write codes to; its name is handed down by the environment. */
const place = 'RETHREAD_TEST_RECORD'

/**
 * What only the reader can fill in, as help texts write it. Anything else in angle brackets would be a hole.
 */
const forTheReader = new Set([
  '<a copy>',
  '<applied commit>',
  '<check>',
  '<command>',
  '<digits>',
  '<folder>',
  '<lower_case_slug>',
  '<migration that stays>',
  '<migration>',
  '<n>',
  '<track>',
  '<why>',
  '<your database>',
])

/** A finding with its words, as a JSON report has it. */
interface Worded {
  code: string
  subject: string
  facts: object
  message: string
  fix: string | null
}

/** What is wrong with the words of a finding: none of it may be a value that was not there. */
export function holesIn({ subject, facts, message, fix }: Worded): string[] {
  // what the server or a file has said may speak of null and of tags itself
  const given = JSON.stringify([subject, ...Object.values(facts)].filter(v => v !== null))
  const found: string[] = []
  for (const said of [message, fix].filter(s => s !== null)) {
    if (said.trim() === '') found.push('it is blank')
    for (const [hole] of said.matchAll(/undefined|\bnull\b|NaN|\[object|<[^<>\n]*>/g))
      if (!forTheReader.has(hole) && !given.includes(JSON.stringify(hole).slice(1, -1)))
        found.push(`${hole} in: ${said}`)
  }
  return found
}

/** Notes which codes a real run reported. Throws where a sentence has a hole. */
export function record(findings: Worded[]): void {
  for (const f of findings) {
    const holes = holesIn(f)
    if (holes.length > 0) throw new Error(`${f.code}: ${holes.join('; ')}`)
  }
  const folder = process.env[place]
  if (folder && findings.length > 0)
    appendFileSync(join(folder, String(process.pid)), `${findings.map(f => f.code).join('\n')}\n`)
}

/** Begins a record for all workers; what ends it gives the codes that no run has reported. */
export function startRecord(): () => string[] {
  const folder = mkdtempSync(join(tmpdir(), 'rethread-record-'))
  process.env[place] = folder
  return () => {
    const seen = new Set(readdirSync(folder).flatMap(f => readFileSync(join(folder, f), 'utf8').split('\n')))
    rmSync(folder, { recursive: true })
    return Object.keys(codes).filter(code => !seen.has(code))
  }
}
