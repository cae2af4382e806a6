# Prints the service-tier and batch prices of the installed Python package genai-prices as JSON, for scripts/prices.ts:
# the npm package carries none. Run: pip install genai-prices, then python3 variants.py > variants.json
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import genai_prices.data as data
from genai_prices.types import StartDateConstraint, TieredPrices


def price(value):
    if isinstance(value, TieredPrices):
        return {'base': str(value.base), 'tiers': [[tier.start, str(tier.price)] for tier in value.tiers]}
    return str(value)


def prices(model_price):
    kept = {k: v for k, v in model_price.__dict__.items() if v is not None and not k.startswith('_')}
    return {key: price(value) for key, value in kept.items()}


def constraint(value):
    if value is None:
        return {}
    if isinstance(value, StartDateConstraint):
        return {'from': value.start_date.isoformat()}
    return {'between': [f'{value.start_time.isoformat()}Z', f'{value.end_time.isoformat()}Z']}


def main():
    models = {}
    for provider in data.providers:
        for model in provider.models:
            variants = [
                {'when': variant.when, **constraint(variant.constraint), 'prices': prices(variant.prices)}
                for variant in model.price_variants or ()
            ]
            if variants:
                models[f'{provider.id}/{model.id}'] = variants
    digest = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()
    out = {
        'source': 'genai-prices (Python)',
        'version': version('genai-prices'),
        'sha256': digest,
        'sha256Of': 'genai_prices/data.py of the wheel',
        'models': models,
    }
    json.dump(out, sys.stdout, indent=1)


main()
