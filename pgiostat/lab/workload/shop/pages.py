"""The visitors of the shop: pages, baskets, orders and reports, as an ORM reads and writes them."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Event
from typing import TypeAlias

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, joinedload, selectinload

from pgiostat.lab.workload.pace import Request, send_paced
from pgiostat.lab.workload.shop.model import (
    Basket,
    BasketItem,
    Category,
    Customer,
    Order,
    OrderItem,
    Product,
    Review,
)
from pgiostat.lab.workload.shop.rows import SHOP_SIZE, ShopSize, shop_engine

__all__ = ["run"]

Page: TypeAlias = Callable[[Session, random.Random, ShopSize], object]


def run(
    dsn: str,
    stop: Event,
    *,
    size: ShopSize = SHOP_SIZE,
    seed: int = 1,
    traffic: Callable[[], str] = str,
) -> int:
    """Visit pages on a schedule until a stop; return the number of visited pages.

    Args:
        dsn: The server, as the shop.
        stop: Ends the traffic.
        size: The data on the server.
        seed: The same one makes the same visits.
        traffic: Returns the name of the traffic, "" for the traffic as always.

    Raises:
        psycopg.Error: The server is gone, or refuses a statement.
    """
    engine = shop_engine(dsn)
    chance = random.Random(seed)  # noqa: S311 - the same work each time, nothing secret
    try:
        return send_paced(lambda: _round(engine, size, traffic()), stop, chance)
    except DBAPIError as error:
        raise error.orig or error from error
    finally:
        engine.dispose()


def _round(engine: Engine, size: ShopSize, traffic: str) -> Sequence[Request]:
    """Return the visits of a second."""
    visits = _VISITS | _MORE_VISITS.get(traffic, {})
    size = _SIZES.get(traffic, size)
    return [
        partial(_visit, engine, size, page) for page, times in visits.items() for _ in range(times)
    ]


def _visit(engine: Engine, size: ShopSize, page: Page, chance: random.Random) -> None:
    with Session(engine) as session:
        page(session, chance, size)


def _catalogue(session: Session, chance: random.Random, size: ShopSize) -> None:
    category = chance.randint(1, size.categories)
    session.scalars(
        select(Product)
        .where(Product.category_id == category)
        .order_by(Product.popularity.desc())
        .limit(24)
        .options(joinedload(Product.category))
    ).all()


def _product(session: Session, chance: random.Random, size: ShopSize) -> None:
    session.get(Product, chance.randint(1, size.products), options=[joinedload(Product.category)])


def _reviewed_product(session: Session, chance: random.Random, size: ShopSize) -> None:
    product = chance.randint(1, size.products)
    session.get(Product, product, options=[joinedload(Product.category)])
    session.scalars(
        select(Review).where(Review.product_id == product).order_by(Review.id.desc()).limit(5)
    ).all()


def _search(session: Session, chance: random.Random, size: ShopSize) -> None:
    found = (
        select(Product.id)
        .where(Product.category_id == chance.randint(1, size.categories))
        .where(Product.name.ilike(f"%{chance.randint(1, size.products)}%"))
        .subquery()
    )
    session.scalar(select(func.count()).select_from(found))


def _basket(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Show a basket."""
    session.scalars(
        select(Basket)
        .where(Basket.customer_id == 1 + chance.randint(1, size.baskets))
        .options(selectinload(Basket.items).joinedload(BasketItem.product))
    ).all()


def _put_into_basket(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Put a product into a basket, and take out the oldest one if it is full."""
    basket = session.get_one(Basket, chance.randint(1, size.baskets))
    basket.updated_at = datetime.now(UTC).replace(tzinfo=None)
    items = sorted(basket.items, key=lambda item: item.id)
    if len(items) >= _FULL_BASKET:
        session.delete(items[0])
    product = chance.randint(1, size.products)
    session.add(BasketItem(basket_id=basket.id, product_id=product, quantity=1))
    session.commit()


def _checkout(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Place an order."""
    ids = chance.sample(range(1, size.products + 1), 3)
    products = session.scalars(select(Product).where(Product.id.in_(ids))).all()
    order = Order(
        customer_id=chance.randint(1, size.customers),
        status="new",
        created_at=datetime.now(UTC).replace(tzinfo=None),
        total=sum((each.price for each in products), Decimal()),
        note="",
    )
    for product in products:
        product.stock -= 1
        order.items.append(
            OrderItem(product_id=product.id, quantity=1, price=product.price, note="")
        )
    session.add(order)
    session.commit()


def _my_orders(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Show the last orders of a customer with their products."""
    session.scalars(
        select(Order)
        .where(Order.customer_id == chance.randint(1, size.customers))
        .order_by(Order.created_at.desc())
        .limit(10)
        .options(selectinload(Order.items).joinedload(OrderItem.product))
    ).all()


def _order_pages(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Count the orders of a customer, for the number of pages."""
    mine = select(Order.id).where(Order.customer_id == chance.randint(1, size.customers))
    session.scalar(select(func.count()).select_from(mine.subquery()))


def _last_days(session: Session, chance: random.Random, _size: ShopSize) -> None:
    """Report the orders of some days."""
    since = datetime(2026, 10, 1) - timedelta(days=chance.randint(0, 200))  # noqa: DTZ001 - as in the table
    session.execute(
        select(func.date(Order.created_at), func.count(), func.sum(Order.total))
        .where(Order.created_at >= since, Order.created_at < since + timedelta(days=3))
        .group_by(func.date(Order.created_at))
    ).all()


def _front(session: Session, _chance: random.Random, _size: ShopSize) -> None:
    """Count the products of each category that can be sold."""
    session.execute(
        select(Category.id, Category.name, func.count(Product.id))
        .join(Product)
        .where(Product.stock > 0)
        .group_by(Category.id, Category.name)
        .order_by(Category.name)
    ).all()


def _best_customers(session: Session, _chance: random.Random, _size: ShopSize) -> None:
    """Report the customers who spent most."""
    spent = (
        select(
            Order.customer_id, func.count().label("orders"), func.sum(Order.total).label("spent")
        )
        .group_by(Order.customer_id)
        .order_by(func.sum(Order.total).desc())
        .limit(50)
        .subquery()
    )
    session.execute(
        select(Customer.name, spent.c.orders, spent.c.spent)
        .join(spent, spent.c.customer_id == Customer.id)
        .order_by(spent.c.spent.desc())
    ).all()


def _cancel(session: Session, chance: random.Random, size: ShopSize) -> None:
    """Cancel one of the newer orders."""
    order = chance.randint(size.orders // 2 + 1, size.orders)
    session.execute(delete(OrderItem).where(OrderItem.order_id == order))
    session.execute(delete(Order).where(Order.id == order))
    session.commit()


_FULL_BASKET = 5
_VISITS: dict[Page, int] = {
    _catalogue: 8,
    _product: 10,
    _search: 1,
    _basket: 6,
    _put_into_basket: 3,
    _checkout: 2,
    _my_orders: 5,
    _order_pages: 4,
    _last_days: 2,
}
"""Visits per second of each page."""
_MORE_VISITS: dict[str, dict[Page, int]] = {
    "reviews": {_product: 0, _reviewed_product: 10},
    "report": {_best_customers: 1},
    "reports": {_best_customers: 3},
    "front pages": {_front: 5},
    "orders doubled": {_my_orders: 10, _order_pages: 8},
    "orders tripled": {_my_orders: 15, _order_pages: 12},
    "cancellations": {_cancel: 2},
}
"""The same for a kind of traffic; a page without a number here is visited as always."""
_SIZES = {
    "few customers": ShopSize(products=800, customers=800, baskets=800, orders=8_000),
    "some customers": ShopSize(products=8_000, customers=8_000, baskets=4_000, orders=40_000),
}
"""Kinds of traffic that reach a part of the rows only."""
