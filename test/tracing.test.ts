import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { database, newest } from './support/database.js'
import { inProcess } from './support/in_process.js'

const exporter = new InMemorySpanExporter()

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
})
beforeEach(() => exporter.reset())
afterAll(() => {
  trace.disable()
  context.disable()
})

const spans = (): ReadableSpan[] => exporter.getFinishedSpans()
const named = (name: string): ReadableSpan => {
  const found = spans().find(s => s.name === name)
  if (!found) throw new Error(`no span ${name}: ${spans().map(s => s.name)}`)
  return found
}

test('a verb is a span below the one of its caller, each step and backfill one below it', async () => {
  await using db = await database(newest(), 'workspace-sessions', 2000)
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  const tracer = trace.getTracer('host')
  const report = await tracer.startActiveSpan('deploy', async span => {
    const done = await project.migrate()
    span.end()
    return done
  })
  expect(report.verdict).toBe('clean')
  const root = named('rethread migrate')
  expect(root.parentSpanContext?.spanId).toBe(named('deploy').spanContext().spanId)
  expect(root.attributes).toMatchObject({
    'rethread.command': 'migrate',
    'rethread.verdict': 'clean',
    'rethread.run': 1,
    'db.system.name': 'postgresql',
    'db.namespace': db.name,
  })
  expect(root.status.code).toBe(SpanStatusCode.UNSET)
  const steps = spans().filter(s => s.attributes['rethread.migration'])
  expect(steps.map(s => [s.attributes['rethread.migration'], s.attributes['rethread.outcome']])).toEqual(
    report.steps.filter(s => s.outcome === 'done').map(s => [s.migration, 'done']),
  )
  expect(steps.every(s => s.parentSpanContext?.spanId === root.spanContext().spanId)).toBe(true)
  // batches are counted, not spans of their own
  const backfill = named('rethread backfill 005_assign_messages')
  const result = report.backfill.find(b => b.migration === '005_assign_messages')!
  expect(backfill.attributes['rethread.rows']).toBe(result.rows)
  expect(backfill.attributes['rethread.batches']).toBeGreaterThan(1)
  const progress = backfill.events.filter(e => e.name === 'progress')
  expect(progress.length).toBeGreaterThan(0)
  expect(progress.length).toBeLessThanOrEqual(10)
})

test('an error is recorded by its code: no row, no statement and no password is in a span', async () => {
  await using db = await database(newest(), 'workspace-sessions', 60)
  await db.sql.unsafe(`
    create function guard() returns trigger language plpgsql as $$ begin raise exception 'secret of %', new.message; end $$;
    create trigger guard before update on chats for each row execute function guard();
    create domain short as text check (length(value) < 1);`)
  const url = new URL(db.url)
  url.password = 'pass-word-of-mine'
  const project = await inProcess(url.toString(), {
    track: 'workspace-sessions',
    config: { retryFailedSeconds: 0 },
  })
  const refused = await project.migrate()
  expect(refused.verdict).toBe('refused')
  const root = named('rethread migrate')
  expect(root.attributes['rethread.verdict']).toBe('refused')
  expect(root.status.code).toBe(SpanStatusCode.ERROR)
  expect(root.events.map(e => e.attributes?.['exception.type'])).toContain('CONSENT_NEEDED')
  await project.migrate({ consent: { allow: ['FIRES_TRIGGERS'] } })
  await expect(project.migrate({ to: 'x', workers: 0 })).rejects.toThrow('workers')
  const { verdict } = await project.session({ id: 'a secret id' })
  expect(verdict).toBe('failed')
  const everything = JSON.stringify(
    spans().map(s => [s.name, s.attributes, s.status, s.events.map(e => [e.name, e.attributes])]),
  )
  expect(everything).toContain('NO_SUCH_SESSION')
  for (const secret of ['pass-word-of-mine', 'secret', 'update ', 'select '])
    expect(everything).not.toContain(secret)
})
