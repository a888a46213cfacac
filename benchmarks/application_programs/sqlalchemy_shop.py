# mypy: ignore-errors
"""A shop by SQLAlchemy: python sqlalchemy_shop.py DSN EXAMPLE.

The shop is an example in SQLAlchemy's source distribution, association/basic_association.py: orders
and items. The traffic is a catalogue, orders that are placed, looked at, changed and cancelled, and
reports; related rows are loaded in each way that SQLAlchemy has.
"""

import importlib.util
import random
import sys
from datetime import UTC, datetime, timedelta

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session, joinedload, selectinload, subqueryload

ITEMS, ORDERS, ROUNDS = 5_000, 8_000, 100

spec = importlib.util.spec_from_file_location("shop", sys.argv[2])
shop = importlib.util.module_from_spec(spec)
sys.modules["shop"] = shop
spec.loader.exec_module(shop)
Order, Item, OrderItem = shop.Order, shop.Item, shop.OrderItem


def load(engine: Engine) -> None:
    """Make tables and rows."""
    shop.Base.metadata.create_all(engine)
    with Session(engine) as session:
        items = [Item(f"item {n}", n / 10) for n in range(ITEMS)]
        session.add_all(items)
        session.flush()
        for number in range(ORDERS):
            order = Order(f"customer {number % 900}")
            order.order_date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
            order.order_items.extend(OrderItem(item) for item in random.sample(items, 3))
            session.add(order)
        session.commit()


def work(engine: Engine) -> None:
    """Do what visitors and the shop do, once."""
    name = f"customer {random.randrange(900)}"
    with Session(engine) as session:
        session.scalars(
            select(Item).order_by(Item.price).offset(random.randrange(900)).limit(20)
        ).all()
        session.scalars(
            select(Item).where(Item.description.like(f"item {random.randrange(99)}%"))
        ).all()
        item = session.get(Item, random.randrange(1, ITEMS))
        order = Order(name)
        order.order_items.append(OrderItem(item))
        session.add(order)
        session.commit()
        order.customer_name = f"{name} "
        session.commit()
        mine = select(Order).where(Order.customer_name == name)
        session.scalars(mine.options(selectinload(Order.order_items))).all()
        session.expire_all()
        session.scalars(mine.options(joinedload(Order.order_items))).unique().all()
        session.expire_all()
        session.scalars(mine.options(subqueryload(Order.order_items))).all()
        session.expire_all()
        [len(each.order_items) for each in session.scalars(mine).all()]
        session.delete(session.get(Order, order.order_id))
        session.commit()
        session.execute(
            select(Item.description, func.sum(OrderItem.price))
            .join(OrderItem)
            .join(Order)
            .where(Order.order_date > datetime(2026, 6, 1, tzinfo=UTC))
            .group_by(Item.description)
            .order_by(func.sum(OrderItem.price).desc())
            .limit(10)
        ).all()
        session.scalar(select(func.count()).select_from(mine.subquery()))
        session.rollback()


def main() -> None:
    """Load the data and send the traffic."""
    given = conninfo_to_dict(sys.argv[1])
    engine = create_engine(
        URL.create(
            "postgresql+psycopg",
            username=given["user"],
            host=given["host"],
            port=int(given["port"]),
            database=given["dbname"],
            query={"passfile": given["passfile"]},
        )
    )
    load(engine)
    for _ in range(ROUNDS):
        work(engine)


main()
