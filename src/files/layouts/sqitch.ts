import { foreignFile } from '../../model/foreign.js'
import { type Finding, finding } from '../../model/report.js'
import { type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'

/** One change of a plan: its line, and the tags up to its rework. */
interface SqitchChange {
  name: string
  line: number
  needs: string[]
  note: string
  tags: string[]
}

const changeLine =
  /^[+]?\s*([^\s@#[\]%+-][^\s@#[\]]*)\s*(?:\[([^\]]*)\])?\s+(\d{4}-\d\d-\d\dT[\d:]+Z)\s+([^#]*?)(?:#\s?(.*))?$/
const tagLine = /^@(\S+)/

/**
 * `sqitch.plan` has the order of changes. `deploy/` applies them and `revert/` undoes them. When a change is
 * reworked, its older text is in `deploy/<change>@<tag>.sql`.
 */
export default {
  title: 'Sqitch',
  folders: ['sqitch', 'db', 'database'],
  detect: folder => (folder.files.includes('sqitch.plan') ? 70 : 0),
  read: folder => {
    const path = `${folder.shown}sqitch.plan`
    const faults: Finding[] = []
    const text = folder.text('sqitch.plan')
    const plan = readSqitchPlan(text, path, faults)
    const project = /^%project=(\S+)/m.exec(text)?.[1] ?? ''
    const top = topOf(folder)
    const total = new Map<string, number>()
    for (const { name } of plan) total.set(name, (total.get(name) ?? 0) + 1)
    const seen = new Map<string, number>()
    const tags = new Set<string>()
    const migrations: LaidOut[] = []
    for (const [i, c] of plan.entries()) {
      const number = (seen.get(c.name) ?? 0) + 1
      const own: Finding[] = []
      const wrong = (reason: string) => own.push(finding('BAD_LAYOUT', `${path}:${c.line}`, { reason }))
      for (const need of c.needs) judgeNeed(need, seen, tags, wrong)
      seen.set(c.name, number)
      const later = number < total.get(c.name)! ? tagsBeforeRework(plan, i) : null
      for (const t of c.tags) tags.add(t)
      const deploy = scriptOf(top, 'deploy', c.name, later)
      if (!deploy) {
        faults.push(
          finding('BAD_LAYOUT', `${path}:${c.line}`, {
            reason: `there is no deploy/${c.name}${later ? '@<tag>' : ''}.sql`,
          }),
        )
        continue
      }
      const revert = scriptOf(top, 'revert', c.name, later)
      migrations.push({
        // the first instance keeps its name when the change is reworked
        name: number === 1 ? c.name : `${c.name}~${number}`,
        title: c.note || titleOf(c.name),
        path: deploy.path,
        text: deploy.text,
        transaction: 'as-needed',
        down: revert ? { ...revert, transaction: 'as-needed' } : null,
        key: `${c.name}~${number}`,
        faults: own,
        foreign: foreignFile({
          version: '',
          // the form in which Sqitch names a change of a project
          description: `${project}:${number === 1 ? c.name : `${c.name}~${number}`}`,
          script: deploy.path.slice(folder.shown.length),
          source: deploy.text,
        }),
      })
    }
    return { migrations, faults }
  },
} satisfies Layout

/** The changes of a plan, each with the tags that follow it. */
function readSqitchPlan(text: string, path: string, faults: Finding[]): SqitchChange[] {
  const changes: SqitchChange[] = []
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#') || line.startsWith('%')) continue
    const tagged = tagLine.exec(line)
    if (tagged) {
      changes.at(-1)?.tags.push(tagged[1]!)
      continue
    }
    const parts = changeLine.exec(line)
    if (!parts) {
      faults.push(finding('BAD_LAYOUT', `${path}:${i + 1}`, { reason: 'it is neither a change nor a tag' }))
      continue
    }
    const needs = (parts[2] ?? '').split(/\s+/).filter(Boolean)
    changes.push({ name: parts[1]!, line: i + 1, needs, note: (parts[5] ?? '').trim(), tags: [] })
  }
  return changes
}

/** The tags between a change and its next instance. The older files have one of them in their name. */
function tagsBeforeRework(plan: SqitchChange[], at: number): string[] {
  const next = plan.findIndex((c, i) => i > at && c.name === plan[at]!.name)
  return plan.slice(at, next).flatMap(c => c.tags)
}

/** Checks a requirement of a change: `name`, `name@tag` or `@tag`. `!name` is a conflict. */
function judgeNeed(
  need: string,
  seen: ReadonlyMap<string, number>,
  tags: ReadonlySet<string>,
  wrong: (reason: string) => void,
): void {
  const [, conflict, project, name = '', at] = /^(!?)(?:([^\s:@]+):)?([^@^~]*)(?:@([^^~]+))?/.exec(need)!
  if (project) return
  const there =
    (name === '' || seen.has(name)) && (at === undefined || /^(ROOT|HEAD)$/.test(at) || tags.has(at))
  if (conflict ? there && name !== '' : !there)
    wrong(
      conflict
        ? `it conflicts with ${name}, which comes before it`
        : `it needs ${need}, which does not come before it`,
    )
}

function scriptOf(
  top: Folder,
  kind: 'deploy' | 'revert',
  name: string,
  tags: string[] | null,
): { path: string; text: string } | null {
  const parts = name.split('/')
  const last = parts.pop()!
  const folder = parts.reduce((at, part) => at.folder(part), top.folder(kind))
  const files = tags === null ? [`${last}.sql`] : [...tags].reverse().map(t => `${last}@${t}.sql`)
  const file = files.find(f => folder.files.includes(f))
  return file === undefined ? null : folder.file(file)
}

/** The folder with `deploy/` and `revert/`: this one, unless `sqitch.conf` names another. */
function topOf(folder: Folder): Folder {
  const settings = folder.files.includes('sqitch.conf') ? folder.text('sqitch.conf') : ''
  const top = /^\s*top_dir\s*=\s*(\S+)/m.exec(settings)?.[1]
  return (top ?? '')
    .split('/')
    .reduce((at, part) => (part === '' || part === '.' ? at : at.folder(part)), folder)
}
