import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../src/model/report.js'
import { axeViolations, browserPath } from './support/browser.js'
import { contract, rethread } from './support/cli.js'
import { database, newest } from './support/database.js'

/** A plan that was rehearsed on a copy, and what `prove` says when it has run: parts of every kind. */
async function makePages(): Promise<{ plan: string; proof: string; planned: Report; rehearsed: Report }> {
  await using db = await database(newest(), 'workspace-sessions', 300)
  await using copy = await database(newest(), 'workspace-sessions', 300)
  await db.sql.unsafe("update public.workspaces set name = '<script>alert(1)</script>'")
  const folder = mkdtempSync('/tmp/rethread-page-')
  const at = (name: string) => join(folder, name)
  const read = (name: string): Report => JSON.parse(readFileSync(at(name), 'utf8'))
  const run = async (code: number, ...args: string[]) =>
    expect((await rethread(db.url, args, { json: false })).code).toBe(code)
  await run(0, 'plan', ...contract, '--output', at('planned.json'))
  const both = ['--output', at('plan.html'), '--output', at('plan.json')]
  await run(0, 'plan', ...contract, '--rehearse-url', copy.url, ...both)
  await run(0, 'migrate', ...contract, '--quiet')
  // a door that stands open is drawn as wrong
  await db.sql.unsafe('create policy everything on public.chats for select to authenticated using (true)')
  await run(1, 'prove', '--output', at('proof.html'))
  return {
    plan: at('plan.html'),
    proof: at('proof.html'),
    planned: read('planned.json'),
    rehearsed: read('plan.json'),
  }
}

let pages: Awaited<ReturnType<typeof makePages>>
beforeAll(async () => {
  pages = await makePages()
})

test('the page needs nothing else: no script, no address, every part with its heading', () => {
  const html = readFileSync(pages.plan, 'utf8')
  expect(html).not.toMatch(/<script|https?:\/\/|<link|@import|url\(/i)
  const headings = [...html.matchAll(/<h2 id="([^"]+)">/g)].map(m => m[1])
  expect(headings).toEqual(
    expect.arrayContaining([
      'what-needs-attention',
      'steps',
      'who-waits',
      'tables-before-and-after',
      'verification',
      'tables-touched',
      'findings',
      'statements',
    ]),
  )
  // a drawing that says what it is
  expect(html).toMatch(
    /<svg role="img" aria-label="After, as the rehearsal has left them: [^"]*public\.chat_sessions, references /,
  )
  expect(html).toContain('prefers-color-scheme: dark')
  expect(html).toContain('@media print')
  expect(new Set(headings).size).toBe(headings.length)
})

test('the page begins with what a plan comes to, and with the command that executes it', () => {
  const html = readFileSync(pages.plan, 'utf8').replace(/<[^>]+>/g, ' ')
  const at = (text: string) => {
    expect(html).toContain(text)
    return html.indexOf(text)
  }
  const order = [
    'Ready',
    'What happens',
    'How long',
    'Who waits',
    'Data',
    'From you',
    'rethread migrate --track',
  ]
  const places = order.map(at)
  expect(places).toEqual([...places].sort((a, b) => a - b))
})

test('the tables after a plan are the same whether its statements say it or a rehearsal leaves them', () => {
  const { planned, rehearsed } = pages
  expect([planned.schema?.from, rehearsed.schema?.from]).toEqual(['statements', 'rehearsal'])
  const named = (report: Report, side: 'before' | 'after') =>
    [...report.schema![side]].sort((a, b) => a.table.localeCompare(b.table))
  expect(named(planned, 'before')).toEqual(named(rehearsed, 'before'))
  const links = (tables: ReturnType<typeof named>) =>
    tables.map(t => ({ ...t, references: t.references.map(r => `${r.columns} ${r.to}`).sort() }))
  expect(links(named(planned, 'after'))).toEqual(links(named(rehearsed, 'after')))
})

describe.runIf(browserPath)('in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: browserPath!, args: ['--no-sandbox'] })
  })
  afterAll(() => browser.close())

  test.each([
    { screen: 'a laptop', width: 1280, colorScheme: 'light' as const },
    { screen: 'a phone, dark', width: 390, colorScheme: 'dark' as const },
  ])('$screen: nothing is cut off, bars are in their lanes, axe finds no violation', async look => {
    const context = await browser.newContext({
      viewport: { width: look.width, height: 900 },
      colorScheme: look.colorScheme,
    })
    for (const file of [pages.plan, pages.proof]) {
      const page = await context.newPage()
      await page.goto(`file://${file}`)
      const seen = await page.evaluate(`(() => {
        for (const d of document.querySelectorAll('details')) d.open = true
        const width = document.documentElement.clientWidth
        const box = e => e.getBoundingClientRect()
        return {
          overflow: document.documentElement.scrollWidth - width,
          cut: [...document.querySelectorAll('td, dd, dt, pre, li, h1, h2, p, summary, svg')]
            .filter(e => box(e).right > width + 1 || box(e).left < -1).map(e => e.textContent.slice(0, 60)),
          bars: document.querySelectorAll('.bar').length,
          outside: [...document.querySelectorAll('.bar')].filter(e => {
            const lane = box(e.parentElement)
            return box(e).left < lane.left - 1 || box(e).right > lane.right + 1 || box(e).width < 3
          }).length,
          wrong: [...document.querySelectorAll('td.bad')].map(e => e.textContent),
          title: document.title,
          sql: [...document.querySelectorAll('details pre')].map(e => box(e).height > 0),
          dark: matchMedia('(prefers-color-scheme: dark)').matches,
          background: getComputedStyle(document.body).backgroundColor,
        }
      })()`)
      expect(seen).toMatchObject({ overflow: 0, cut: [], outside: 0, dark: look.colorScheme === 'dark' })
      const { bars, wrong, background, title, sql } = seen as {
        bars: number
        wrong: string[]
        background: string
        title: string
        sql: boolean[]
      }
      expect(background).toBe(look.colorScheme === 'dark' ? 'rgb(18, 18, 20)' : 'rgb(255, 255, 255)')
      expect(title).toMatch(file === pages.plan ? /plan/ : /prove/)
      if (file === pages.plan) {
        expect(bars).toBeGreaterThan(15)
        expect([...new Set(sql)]).toEqual([true])
      } else expect(wrong).toContain('✗ allowed, wrongly')
      expect(await axeViolations(page)).toEqual([])
      await page.close()
    }
    await context.close()
  })
})

test('GitHub: an annotation for each thing found, and the page of the job as Markdown', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate', ...contract])).code).toBe(0)
  await db.sql.unsafe('drop index public.idx_chat_sessions_created_at')
  const summary = join(mkdtempSync('/tmp/rethread-summary-'), 'summary.md')
  const ran = await rethread(db.url, ['verify', '--only', 'indexes', '--format', 'github'], {
    json: false,
    env: { GITHUB_STEP_SUMMARY: summary },
  })
  expect(ran.code).toBe(1)
  expect(ran.stdout).toMatch(
    /^rethread verify: Something was found\n {2}Checks: 0 pass, 1 found something, [^\n]+\n {2}From you: fix what `indexes` found; [^\n]+\n {4}rethread verify --only indexes\n::error title=indexes%3A [^\n]+::idx_chat_sessions_created_at: missing%0A[^\n]+\n/,
  )
  expect(ran.stdout.trimEnd().split('\n').at(-1)).toMatch(
    /^rethread verify: attention; 0 pass, 1 found something, /,
  )
  expect(readFileSync(summary, 'utf8')).toMatch(/^## rethread verify: Something was found/)
})
