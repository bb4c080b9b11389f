import type { Attributes, Span, Tracer } from '@opentelemetry/api'
import { packageVersion } from '../files/package.js'
import type { Event } from '../model/event.js'
import { codeOf, Failure } from '../model/failure.js'
import { type Finding, isSevere, type Report, type StepResult } from '../model/report.js'

type Api = typeof import('@opentelemetry/api')

/** A call as spans of OpenTelemetry. They have no text of a message, a statement or a URL. */
export interface VerbTrace {
  /** Adds an event. */
  event(event: Event): void
  /** Runs the call's work with its span as the active one, and ends the spans with the result. */
  run(work: () => Promise<Report>): Promise<Report>
}

/**
 * Begins the span of a call. Null if the host program has no OpenTelemetry. If it has the API but no
 * provider, the spans have no effect.
 */
export async function startTrace(command: string): Promise<VerbTrace | null> {
  const api = await loadApi()
  return api && new Spans(api, api.trace.getTracer('rethread', packageVersion()), command)
}

/** Loads the API of the host program. Its provider creates the spans. */
async function loadApi(): Promise<Api | null> {
  try {
    return await import('@opentelemetry/api')
  } catch (error) {
    if (codeOf(error) === 'ERR_MODULE_NOT_FOUND') return null
    throw error
  }
}

/** Most waits that a span lists; the others are counted. */
const mostWaits = 20

/** A running step. */
interface OpenStep {
  migration: string
  direction: 'up' | 'down'
  span: Span
  batches: number
  slowestMs: number
  /** Tenths of the backfill that have an event. */
  tenths: number
  waits: number
}

class Spans implements VerbTrace {
  private readonly root: Span
  private step: OpenStep | null = null

  constructor(
    private readonly api: Api,
    private readonly tracer: Tracer,
    private readonly command: string,
  ) {
    this.root = tracer.startSpan(`rethread ${command}`, {
      attributes: { 'rethread.command': command, 'db.system.name': 'postgresql' },
    })
  }

  event(event: Event): void {
    const at = this.step
    if (event.type === 'run') this.root.setAttribute('rethread.run', event.run)
    else if (event.type === 'step-start') this.begin(event)
    else if (event.type === 'step-done' && at?.migration === event.migration) {
      this.finish(at, { outcome: at.direction === 'down' ? 'rolled-back' : 'done', rows: event.rows })
      this.step = null
    } else if (event.type === 'batch' && at) this.batch(at, event)
    else if (event.type === 'wait') {
      if (at === null || at.waits++ < mostWaits)
        this.addEvent('wait', { 'rethread.wait.on': event.on, 'rethread.wait.attempt': event.attempt })
    } else if (event.type === 'reconnect') this.addEvent('reconnect', { 'rethread.attempt': event.attempt })
    else if (event.type === 'check') this.addEvent('check', { 'rethread.check': event.check })
  }

  async run(work: () => Promise<Report>): Promise<Report> {
    const active = this.api.trace.setSpan(this.api.context.active(), this.root)
    try {
      const report = await this.api.context.with(active, work)
      this.endWith(report)
      return report
    } catch (error) {
      const name = error instanceof Failure ? error.finding.code : (error as Error).name
      this.fail(this.root, name, {})
      throw error
    } finally {
      this.step?.span.end()
      this.root.end()
    }
  }

  private addEvent(name: string, attributes: Attributes): void {
    ;(this.step?.span ?? this.root).addEvent(name, attributes)
  }

  private begin({ migration, phase, direction, index, of }: Event & { type: 'step-start' }): void {
    this.step?.span.end()
    const verb = direction === 'down' ? 'rollback' : phase === 'backfill' ? 'backfill' : this.command
    const attributes = {
      'rethread.migration': migration,
      'rethread.phase': phase,
      'rethread.direction': direction,
      'rethread.step': index,
      'rethread.steps': of,
    }
    const parent = this.api.trace.setSpan(this.api.context.active(), this.root)
    const span = this.tracer.startSpan(`rethread ${verb} ${migration}`, { attributes }, parent)
    this.step = { migration, direction, span, batches: 0, slowestMs: 0, tenths: 0, waits: 0 }
  }

  /** A backfill may have hundreds of thousands of batches: they are counted, and each tenth has an event. */
  private batch(at: OpenStep, { rows, fraction, batchMs, rowsPerSecond }: Event & { type: 'batch' }): void {
    at.batches++
    at.slowestMs = Math.max(at.slowestMs, batchMs)
    const tenth = Math.floor(fraction * 10)
    if (tenth <= at.tenths) return
    at.tenths = tenth
    at.span.addEvent('progress', {
      'rethread.rows': rows,
      'rethread.fraction': fraction,
      'rethread.rows_per_second': rowsPerSecond,
    })
  }

  private finish(
    { span, batches, slowestMs, waits }: OpenStep,
    { outcome, rows }: Pick<StepResult, 'outcome' | 'rows'>,
  ): void {
    span.setAttribute('rethread.outcome', outcome)
    if (rows !== null) span.setAttribute('rethread.rows', rows)
    if (batches > 0)
      span.setAttributes({ 'rethread.batches': batches, 'rethread.batch.slowest_ms': Math.round(slowestMs) })
    if (waits > 0) span.setAttribute('rethread.waits', waits)
    span.end()
  }

  private endWith(report: Report): void {
    const { root, step } = this
    const { verdict, target, findings, steps } = report
    const wrong = findings.filter(isSevere)
    if (step) {
      // the step has no result yet
      const result = steps.find(s => s.migration === step.migration)
      if (result?.outcome === 'failed') this.failWith(step.span, wrong)
      this.finish(step, result ?? { outcome: 'failed', rows: null })
      this.step = null
    }
    root.setAttributes({
      'rethread.verdict': verdict,
      ...(target
        ? { 'db.namespace': target.database, 'server.address': target.host, 'server.port': target.port }
        : {}),
    })
    if (verdict === 'failed' || verdict === 'refused') this.failWith(root, wrong)
  }

  private failWith(span: Span, findings: Finding[]): void {
    for (const f of findings.slice(0, 10)) {
      const { sqlstate } = f.facts as { sqlstate?: string }
      this.fail(span, f.code, sqlstate ? { 'db.response.status_code': sqlstate } : {})
    }
    if (findings.length === 0) this.fail(span, 'failed', {})
  }

  /** Records an error by its code only, because a message of the server may quote rows. */
  private fail(span: Span, code: string, attributes: Attributes): void {
    span.setAttributes(attributes)
    span.recordException({ name: code, message: code })
    span.setStatus({ code: this.api.SpanStatusCode.ERROR, message: code })
  }
}
