/** Compile-time checks: what is generated satisfies the interfaces, and what the committed declarations promise. */
import type * as declared from '../../bindings/wasm/index.js';
import type * as generated from '../../bindings/wasm/pkg/wayfare.js';
import type { Core } from '../core/core.js';
import type { CreditBinding } from '../core/credit.js';
import type { EgressBinding } from '../core/egress.js';
import type { EngineBinding } from '../core/engine.js';

type Satisfies<Wanted, Is extends Wanted> = [Wanted, Is];
type Names = Exclude<keyof typeof declared, 'default' | 'Credit' | 'Egress' | 'Engine' | 'VectorSummary'>;
export type Checks = [
  Satisfies<Core, Pick<typeof generated, keyof Core>>,
  Satisfies<EngineBinding, generated.Engine>,
  Satisfies<declared.Engine, generated.Engine>,
  Satisfies<ConstructorParameters<typeof generated.Engine>, ConstructorParameters<typeof declared.Engine>>,
  Satisfies<CreditBinding, generated.Credit>,
  Satisfies<declared.Credit, generated.Credit>,
  Satisfies<ConstructorParameters<typeof generated.Credit>, ConstructorParameters<typeof declared.Credit>>,
  Satisfies<EgressBinding, generated.Egress>,
  Satisfies<declared.Egress, generated.Egress>,
  Satisfies<ConstructorParameters<typeof generated.Egress>, ConstructorParameters<typeof declared.Egress>>,
  Satisfies<Pick<typeof declared, Names>, Pick<typeof generated, Names>>,
];
