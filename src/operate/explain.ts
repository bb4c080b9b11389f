import { type Code, codes, type HazardCode, hazardLevels, hazards, isHazard } from '../model/codes.js'
import type { Explanation } from '../model/explanation.js'
import { UsageError } from '../model/failure.js'
import type { Check, Migration } from '../model/project.js'
import { emptyReport, type Report } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { nearest } from '../model/similar.js'
import { isRequestedName, requestedChecks } from '../verify/requested_checks.js'

/** Sources of explanations besides the codes. */
interface ExplainOptions {
  /** The checks of all tracks. Only called if the name is no code. */
  checks: () => Check[]
  /** The migrations of all tracks. Only called if the name is no code and no check. */
  migrations: () => Migration[]
  /** The explanation of each code. */
  explanations: Record<Code | HazardCode, Explanation>
  /** An example of a finding with the code, as a run would report it: sentence and fix. */
  exampleOf: (code: Code) => { message: string; fix: string | null }
}

const isCode = (name: string): name is Code => Object.hasOwn(codes, name)

/**
 * The meaning of a finding, hazard or check, why it matters, and what to do. Without a name, a list of all.
 * Throws USAGE with the nearest names.
 */
export function explain(wanted: string | undefined, options: ExplainOptions): Report {
  if (wanted === undefined) return listAll(options)
  const name = wanted.toUpperCase().replaceAll('-', '_')
  if (isCode(name) || isHazard(name)) return about(name, aboutCode(name, options))
  const checks = options.checks()
  const lower = wanted.toLowerCase().replaceAll('-', '_')
  const of = checks.filter(check => check.name === lower)
  if (of.length > 0) return about(of[0]!.name, aboutCheck(of))
  if (isRequestedName(lower)) return about(lower, aboutRequested(lower))
  const migrations = options.migrations().filter(m => m.name === wanted)
  if (migrations.length > 0) return about(wanted, migrations.flatMap(aboutMigration))
  const all = [
    ...Object.keys(codes),
    ...Object.keys(hazards),
    ...checks.map(check => check.name),
    ...Object.keys(requestedChecks),
  ]
  const near = all.filter(k => k.split('_').some(part => part.length > 3 && name.includes(part)))
  const meant = nearest(name, all)
  throw new UsageError(wanted, 'there is no finding, hazard or check of that name', {
    known: near.slice(0, 8),
    meant: meant && `rethread explain ${meant}`,
  })
}

const about = (title: string, rows: [part: string, text: string][]): Report => ({
  ...emptyReport('explain'),
  tables: [{ title, columns: ['part', 'text'], rows }],
})

function aboutCode(
  name: Code | HazardCode,
  { explanations, exampleOf }: ExplainOptions,
): [part: string, text: string][] {
  const { means, matters, action, example } = explanations[name]
  const rows: [string, string][] = [
    ['kind', isHazard(name) ? `hazard, level ${hazards[name]}` : `finding, level ${codes[name]}`],
    ['meaning', means],
    ['why it matters', matters],
    ['what to do', action],
  ]
  if (isHazard(name)) return example === undefined ? rows : [...rows, ['example', example]]
  const { message, fix } = exampleOf(name)
  return [...rows, ['example', fix === null ? message : `${message}\nFix: ${fix}`]]
}

const byLevel: Record<Check['level'], string> = {
  error: 'What it finds counts against the verdict of verify.',
  warn: 'What it finds is a warning, which counts with verify --fail-on warn.',
  info: 'What it finds is shown, and never counts.',
}

function whyItMatters({ kind, level, gate }: Check): string {
  if (gate) return `It must pass before ${gate} runs.`
  if (kind === 'outlook') return 'It says what the migration will do with unusual rows. plan shows it.'
  if (kind === 'listing') return 'It lists rows for the reader, and finds no fault.'
  if (kind === 'account') return 'prove compares the numbers: what came in must be migrated or set aside.'
  return byLevel[level]
}

/** Several tracks may have a check with the name, each with its own title and fix. */
function aboutCheck(checks: Check[]): [part: string, text: string][] {
  const each = (text: (check: Check) => string): string =>
    [...new Set(checks.map(text))].filter(Boolean).join('\n')
  const [first] = checks
  return [
    ['kind', `check, level ${each(check => check.level)}`],
    ['meaning', each(check => check.title)],
    ['why it matters', each(whyItMatters)],
    ['what to do', each(check => check.fix ?? '') || 'See the detail that the check gives for each object.'],
    ['example', `rethread verify --only ${shellWord(first!.name)}`],
    ['file', each(check => check.file.path)],
  ]
}

/** A check that no file of a track has. */
function aboutRequested(name: keyof typeof requestedChecks): [part: string, text: string][] {
  const { title, level, command, action } = requestedChecks[name]
  return [
    ['kind', `check, level ${level}`],
    ['meaning', title],
    ['why it matters', byLevel[level]],
    ['what to do', action],
    ['example', `${command}   or   rethread verify --only ${shellWord(name)}`],
  ]
}

/** A step of a track. */
const aboutMigration = ({ title, phase, file }: Migration): [part: string, text: string][] => [
  ['kind', `migration, phase ${phase}`],
  ['meaning', title],
  ['file', file.path],
]

/** A list of all names. */
function listAll({ checks, explanations }: ExplainOptions): Report {
  const names = new Map<string, Check[]>()
  for (const check of checks()) names.set(check.name, [...(names.get(check.name) ?? []), check])
  const titles = (of: Check[]): string => [...new Set(of.map(check => check.title))].join('; ')
  return {
    ...emptyReport('explain'),
    tables: [
      {
        title: 'Findings',
        columns: ['code', 'level', 'meaning'],
        rows: (Object.keys(codes) as Code[]).map(code => [code, codes[code], explanations[code].means]),
      },
      {
        title: 'Hazards',
        columns: ['code', 'level', 'meaning'],
        rows: (Object.keys(hazards) as HazardCode[])
          .sort((a, b) => hazardLevels.indexOf(hazards[a]) - hazardLevels.indexOf(hazards[b]))
          .map(code => [code, hazards[code], explanations[code].means]),
      },
      {
        title: 'Checks',
        columns: ['name', 'level', 'title'],
        rows: [
          ...[...names].map(([name, of]) => [name, of[0]!.level, titles(of)]),
          ...Object.entries(requestedChecks).map(([name, { level, title }]) => [name, level, title]),
        ].sort(),
      },
    ],
  }
}
