import { type Code, codes } from '../model/codes.js'
import { fewNames } from '../model/few_names.js'
import { type Finding, isFault, leavesUnseen, type Report, type Summary } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { worded } from './words/index.js'
import { dataLine, stepsLine, timeLine, unseenLine, waitsLine } from './words/summary.js'
import { changedWithoutSteps, finishedSteps, signOf, verdictWords, verifiedWords } from './words/verdicts.js'

/** The state of a report for its reader. */
type SummaryState = Summary['state']

/** Findings that a person must decide. Other refusals must be fixed. */
const decisions: ReadonlySet<Code> = new Set<Code>([
  'CONSENT_NEEDED',
  'MAPPING_OPEN',
  'ADOPT_CHOICE',
  'ADOPT_LOST_TABLE',
  'TRACK_UNCLEAR',
  'PLAN_OUTDATED',
])

/** Commands that only examine: they pass, or they find something. */
const looking: ReadonlySet<string> = new Set(['verify', 'prove', 'lint', 'doctor', 'status'])

/** The findings that prevent a run, also if a plan only warns of them. */
const obstacles = ({ command, findings }: Report): Finding[] =>
  findings.filter(
    f => f.level === 'refused' || (command === 'plan' && f.level === 'warn' && codes[f.code] === 'refused'),
  )

/** Pure: the summary of a report. All formats use it. */
export function summaryOf(report: Report): Summary {
  const inTheWay = obstacles(report)
  const state = summaryState(report, inTheWay)
  const lines = [
    stepsLine(report),
    timeLine(report),
    waitsLine(report),
    dataLine(report),
    checksLine(report),
    unseenLine(report),
  ].filter(line => line !== null)
  // for many databases the verdict has the counts, and each report has its next command
  if (report.targets) return { state, verdict: capitalized(verdictWords(report)), lines, need: null }
  return { state, verdict: verdicts[state](report), lines, need: needOf(report, state, inTheWay) }
}

const capitalized = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

function summaryState(report: Report, inTheWay: Finding[]): SummaryState {
  const { command, verdict, steps, findings } = report
  if (verdict === 'failed') return 'failed'
  if (verdict === 'interrupted') return 'stopped'
  if (inTheWay.length > 0) return inTheWay.every(f => decisions.has(f.code)) ? 'decide' : 'refused'
  if (verdict === 'refused') return 'refused'
  if (verdict === 'attention') return 'attention'
  if (looking.has(command)) return 'passed'
  if (findings.some(f => f.code === 'NOTHING_TO_DO')) return 'nothing-to-do'
  return command === 'plan' && steps.length > 0 ? 'ready' : 'done'
}

/** A sentence that nothing was changed, if the report shows that. */
function whatChanged({ command, steps, findings }: Report): string {
  if (command === 'plan' || looking.has(command)) return ''
  const finished = finishedSteps(steps).length
  return finished > 0
    ? `: ${finished} of ${steps.length} steps finished before`
    : `: ${changedWithoutSteps(findings)}`
}

const verdicts: Record<SummaryState, (report: Report) => string> = {
  ready: () => 'Ready',
  'nothing-to-do': () => 'Nothing to do',
  decide: report => `Needs a decision${whatChanged(report)}`,
  refused: report =>
    report.command === 'plan' || report.command === 'doctor'
      ? 'A run would be refused'
      : `Refused${whatChanged(report)}`,
  failed: () => 'Failed',
  stopped: () => 'Stopped',
  attention: ({ command, steps, findings }) =>
    command === 'plan'
      ? 'Read this before a run'
      : !looking.has(command)
        ? finishedSteps(steps).length < steps.length
          ? 'Not finished'
          : 'Done, with something to look at'
        : leavesUnseen(findings)
          ? 'Not everything could be looked at'
          : 'Something was found',
  done: () => 'Done',
  passed: ({ command }) => (command === 'verify' || command === 'prove' ? 'Passed' : 'In order'),
}

/** How many checks passed, and what is not verified. */
function checksLine(report: Report): Summary['lines'][number] | null {
  const words = verifiedWords(report)
  const signs = report.checks.map(signOf)
  const level = signs.includes('counts') ? 'bad' : signs.includes('warns') ? 'warn' : 'plain'
  return words.length === 0 ? null : { name: 'Checks', text: words.join('; '), level }
}

/** What the reader must do: one thing, with the command if there is one. */
function needOf(report: Report, state: SummaryState, inTheWay: Finding[]): Summary['need'] {
  const { findings, next = null } = report
  const fixOf = (f: Finding | undefined) => (f ? worded(f).fix : null)
  if (state === 'decide') {
    const fix = fixOf(inTheWay[0]) ?? fixOf(findings.find(f => f.code === 'NEAREST_TRACK'))
    const consent = inTheWay.find(f => f.code === 'CONSENT_NEEDED')?.facts
    if (!consent) return { text: 'a decision, explained below', command: oneLine(fix) }
    const names = [...consent.missing, ...(consent.confirm === null ? [] : ['the name of the database'])]
    return { text: `your consent by name: ${names.join(', ')}`, command: next ?? fix }
  }
  if (state === 'refused' || state === 'failed') {
    const first = inTheWay[0] ?? findings.find(f => f.level === 'error')
    // if nothing else is in the report, the finding is shown anyway
    if (!first || report.steps.length === 0) return null
    const command = oneLine(fixOf(first))
    return {
      text: first.code === 'IRREVERSIBLE' ? 'another target' : 'a fix first, described below',
      command,
    }
  }
  const faulty = report.checks.filter(isFault).map(c => c.check)
  if (state === 'attention' && looking.has(report.command) && faulty.length > 0)
    return {
      text: `fix what ${fewNames(faulty.map(name => `\`${name}\``))} found; this checks it again`,
      command: `rethread verify --only ${shellWord(faulty.join(','))}`,
    }
  if (state === 'attention' && findings.some(f => f.code === 'ROWS_FAILED'))
    return {
      text: 'remove the cause of the failed rows, then run the same command; this shows them',
      command: 'rethread quarantine list',
    }
  if (state === 'ready') return { text: 'nothing; this executes it', command: next }
  const step = findings.find(f => f.code === 'NEXT_STEP')
  if (step) return { text: 'the next step', command: fixOf(step) }
  const held = findings.find(f => f.code === 'STOPPED_BEFORE')
  if (held && (state === 'done' || state === 'nothing-to-do'))
    return {
      text: held.facts.because === null ? 'the rest' : 'when no old application runs any more, the rest',
      command: fixOf(held),
    }
  return state === 'attention' && report.command === 'plan' && next !== null
    ? { text: 'read the findings below; this executes it', command: next }
    : null
}

/** A fix that is a command on one line. Longer fixes are shown with their findings. */
const oneLine = (fix: string | null): string | null =>
  fix !== null && /^([\w ]+ )?rethread (?!.* {3})[^\n]*$/.test(fix) ? fix : null
