"""The tables of the shop, as SQLAlchemy's classes."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = [
    "SHOP",
    "Base",
    "Basket",
    "BasketItem",
    "Category",
    "Customer",
    "Order",
    "OrderItem",
    "Product",
    "Review",
]

SHOP = "shop"
"""The role of the shop, and its database and schema."""


class Base(DeclarativeBase):
    """The base of all classes."""


class Category(Base):
    """A category of products."""

    __tablename__ = "categories"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Product(Base):
    """A product of the catalogue."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"))
    name: Mapped[str]
    description: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    stock: Mapped[int]
    popularity: Mapped[int]
    category: Mapped[Category] = relationship()
    __table_args__ = (Index("ix_products_category_id", "category_id", "popularity"),)


class Customer(Base):
    """A customer of the shop."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(index=True)


class Basket(Base):
    """The basket of a customer."""

    __tablename__ = "baskets"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    updated_at: Mapped[datetime]
    items: Mapped[list["BasketItem"]] = relationship()


class BasketItem(Base):
    """A product in a basket."""

    __tablename__ = "basket_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    basket_id: Mapped[int] = mapped_column(ForeignKey("baskets.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    product: Mapped[Product] = relationship()


class Order(Base):
    """An order of a customer."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    status: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    note: Mapped[str]
    customer: Mapped[Customer] = relationship()
    items: Mapped[list["OrderItem"]] = relationship()


class OrderItem(Base):
    """A product in an order."""

    __tablename__ = "order_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    note: Mapped[str]
    product: Mapped[Product] = relationship()


class Review(Base):
    """A review of a product: the table that an incident adds."""

    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    stars: Mapped[int]
    text: Mapped[str]
