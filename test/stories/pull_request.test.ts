import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { installed, type Runner, runner } from '../support/action.js'
import { type Database, database, newest } from '../support/database.js'
import { folder } from '../support/folder.js'

const opened = { pull_request: { number: 7, head: { sha: 'b'.repeat(40) } } }
const tags =
  '--! ends-old-app: the old application reads colour\nalter table public.notes drop column colour;'
const files = {
  'db/migrations/mine/001_size.sql': 'alter table public.notes add size int;',
  'db/rollbacks/mine/001_size.sql': 'alter table public.notes drop column size;',
  'db/migrations/mine/002_colour.sql': `--! phase: contract\n--! irreversible: its values are gone\n${tags}`,
  'db/verify/mine/sizes.sql':
    "--! after: 001_size\nselect 'notes' as object, 'no column size' as detail where not exists (select from information_schema.columns where table_name = 'notes' and column_name = 'size')",
}
const repository = () => installed(folder({ ...files, 'db/.keep': '' }))
const notes = async (): Promise<Database> => {
  const db = await database(newest(), 'empty')
  await db.sql`create table public.notes (id int primary key, colour text)`
  return db
}

describe('the life of a pull request', () => {
  test('plan and comment, a changed plan, a stale plan refused, deploy, verify, the summary', async () => {
    await using db = await notes()
    await using github = await runner()
    const cwd = repository()
    const artifact = (name: string) => join(cwd, `${name}.plan.json`)
    const run = (inputs: Record<string, string>, event: object = opened) =>
      github.action({ 'database-url': db.url, 'working-directory': 'db', ...inputs }, { cwd, event })
    // a package of the folder above is found as Node finds it
    const plan = { command: 'plan', phase: 'contract', 'plan-file': 'plan.json' }

    // opened: what is planned wants consent, which is the pull request's to give
    const first = await run(plan)
    expect([first.code, first.outputs]).toEqual([
      1,
      expect.objectContaining({
        verdict: 'attention',
        'exit-code': '1',
        pending: '2',
        allow: 'DELETES_DATA,ENDS_OLD_APP',
        'plan-file': join(cwd, 'db/plan.json'),
        'comment-url': 'https://github.com/o/r/pull/7#issuecomment-1',
      }),
    ])
    expect(first.outputs.hazards!.split(',')).toEqual(
      expect.arrayContaining(['LOCKS_TABLE', 'DELETES_DATA', 'ENDS_OLD_APP']),
    )
    expect(github.comments.map(c => c.body)).toEqual([
      expect.stringMatching(
        /^<!-- rethread [\w-]+ -->\n## rethread plan: Needs a decision\n\nTarget: [^\n]+\n\n- \*\*What happens\*\*: 2 steps [\s\S]+?```\n {2}rethread migrate --track mine --plan [^\n]+ --allow DELETES_DATA,ENDS_OLD_APP[^\n]*\n {2}```\n\n- \*\*warn\*\* `CONSENT_NEEDED`/,
      ),
    ])
    expect(first.summary).toContain('--allow DELETES_DATA,ENDS_OLD_APP')
    copyFileSync(first.outputs['plan-file']!, artifact('first'))

    // changed: consent is given, a file is another; the same comment says so
    const allow = { allow: first.outputs.allow! }
    const size = join(cwd, 'db/migrations/mine/001_size.sql')
    writeFileSync(size, 'alter table public.notes add size bigint;')
    const second = await run({ ...plan, ...allow })
    expect([second.code, second.outputs.verdict, second.outputs.allow]).toEqual([0, 'clean', ''])
    expect(github.comments).toHaveLength(1)
    expect(github.comments[0]!.body).toContain('add size bigint')
    copyFileSync(second.outputs['plan-file']!, artifact('second'))

    // deployed with the plan that nobody reviewed last: refused before the first step
    const deploy = (name: string) =>
      run(
        { command: 'migrate', ...allow, 'plan-file': artifact(name), reason: 'release 12; "quoted" $HOME' },
        {},
      )
    const stale = await deploy('first')
    expect([stale.code, stale.outputs.verdict, stale.outputs.pending]).toEqual([3, 'refused', '2'])
    expect(stale.summary).toMatch(
      /^## rethread migrate: Refused: nothing was changed\n\nTarget: [^\n]+\n\n- \*\*What happened\*\*: 0 of 2 steps done\n[^`]+\n- \*\*From you\*\*: a fix first, described below\n\n- \*\*refused\*\* `PLAN_CHANGED` The plan of `mine` no longer holds:\n[^`]*001_size[^\n]*\n {2}```\n {2}rethread plan /,
    )
    expect(stale.summary).not.toContain('alter table')

    // with the one that was reviewed
    const deployed = await deploy('second')
    expect([deployed.code, deployed.outputs.verdict, deployed.outputs.pending]).toEqual([0, 'clean', '0'])
    expect(deployed.summary).toMatch(/^## rethread migrate: Done\n/)
    expect(deployed.log).toContain('This event has no pull request')
    // the reason came whole: blanks, quotes and a dollar are of one word
    expect((await db.sql`select reason from rethread.runs where command = 'migrate'`).at(-1)).toEqual({
      reason: 'release 12; "quoted" $HOME',
    })
    const verified = await run({ command: 'verify' }, {})
    expect([verified.code, verified.outputs.verdict]).toEqual([0, 'clean'])
    expect(verified.summary).toMatch(
      /^## rethread verify: Passed\n\nTarget: [^\n]+\n\n- \*\*Checks\*\*: ⚠️ [1-9]\d* pass/,
    )
    expect(verified.summary).toContain('| ✅ | `sizes` | sizes |')
    expect(github.comments).toHaveLength(1)
  })
})

describe('the action', () => {
  const lint = (github: Runner, inputs: Record<string, string> = {}, event: object = opened) =>
    github.action({ command: 'lint', 'working-directory': 'db', ...inputs }, { cwd: repository(), event })

  test('a token that may not write is said in the log and on the page, and fails nothing', async () => {
    await using github = await runner()
    for (const status of [403]) {
      github.refuses = status
      const ran = await lint(github)
      expect([ran.code, ran.outputs['comment-url']]).toEqual([0, ''])
      expect(ran.log).toContain(`::warning title=rethread::The comment was not written: the token may not`)
      expect(ran.summary).toMatch(
        new RegExp(`\\n> The comment was not written: .*HTTP ${status}.*pull-requests: write`),
      )
    }
  })

  test('a fault of the server is tried again, then said', async () => {
    await using github = await runner()
    github.refuses = 502
    const ran = await lint(github)
    expect([ran.code, github.asked.length]).toEqual([0, 3])
    expect(ran.log).toContain('The comment was not written: HTTP 502.')
  })

  test('the comment is found among many, and that of another folder is left alone', async () => {
    await using github = await runner()
    await lint(github)
    const mine = github.comments[0]!
    github.comments.unshift(
      ...Array.from({ length: 150 }, (_, i) => ({
        id: 1000 + i,
        body: `${mine.body.slice(0, 14)} not ours`,
      })),
    )
    mine.body = mine.body.replace('clean', 'what was there')
    await lint(github)
    expect([github.comments.length, mine.body]).toEqual([151, expect.stringContaining('lint: In order')])
    await lint(github, { track: 'mine' })
    expect(github.comments.length).toBe(152)
  })

  test('a wrong input is a usage error: exit 2, said in outputs, page and comment', async () => {
    await using github = await runner()
    const ran = await lint(github, { command: 'plan', phase: 'contrat' })
    expect([ran.code, ran.outputs.verdict, ran.outputs['exit-code']]).toEqual([2, 'failed', '2'])
    for (const text of [ran.log, ran.summary, github.comments[0]!.body])
      expect(text).toContain('Did you mean `--phase contract`?')
    const flag = await lint(github, { arguments: '--fail-on=warn\n--dirr=x y' })
    expect([flag.code, flag.outputs.verdict, flag.outputs.report]).toEqual([2, 'failed', ''])
    expect(flag.summary).toContain('Did you mean `--dir`?')
  })

  test('no comment where none is wanted; another format has a page too', async () => {
    await using github = await runner()
    const ran = await lint(github, { comment: 'false', format: 'table' })
    expect([ran.code, github.asked]).toEqual([0, []])
    expect(ran.log).toContain('Verdict: clean')
    expect(ran.summary).toMatch(/^## rethread lint: In order/)
  })

  test('a report that is longer than a comment may be is cut at a line, and says so', async () => {
    await using github = await runner()
    const cwd = installed(
      folder({
        ...files,
        ...Object.fromEntries(
          Array.from({ length: 400 }, (_, i) => [
            `db/migrations/mine/${100 + i}_broken.sql`,
            `select ${'x'.repeat(120)} from;`,
          ]),
        ),
      }),
    )
    const ran = await github.action({ command: 'lint', 'working-directory': 'db' }, { cwd, event: opened })
    expect([ran.code, ran.outputs['comment-url']]).toEqual([1, expect.stringContaining('#issuecomment-1')])
    expect(ran.summary.length).toBeGreaterThan(70_000)
    const { body } = github.comments[0]!
    expect(body).toMatch(/\n\nThe report is longer than a comment may be[^\n]*\n\n<sub>.*<\/sub>\n$/)
    expect((body.match(/^ *```/gm) ?? []).length % 2).toBe(0)
    expect(readFileSync(ran.outputs.markdown!, 'utf8').length).toBeGreaterThan(70_000)
  })
})
