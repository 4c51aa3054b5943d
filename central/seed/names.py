"""Names as they are met in Brazil, put together from common first names, surnames and kinds of shops and streets."""

from typing import Final

FIRST: Final = (
    "Adriana", "Alice", "Aline", "Amanda", "Ana", "André", "Antônio", "Arthur", "Beatriz", "Bernardo", "Bianca",
    "Bruno", "Caio", "Camila", "Carlos", "Cecília", "César", "Cláudia", "Cristiane", "Daniel", "Débora", "Diego",
    "Eduardo", "Elaine", "Eliane", "Elisa", "Érica", "Fábio", "Felipe", "Fernanda", "Flávia", "Francisco", "Gabriel",
    "Geraldo", "Giovana", "Gustavo", "Heitor", "Helena", "Henrique", "Igor", "Inês", "Isabela", "Jéssica", "João",
    "Joaquim", "Jorge", "José", "Juliana", "Júlio", "Karina", "Laís", "Larissa", "Laura", "Leandro", "Letícia",
    "Lívia", "Lorena", "Lucas", "Luciana", "Luís", "Luíza", "Manuela", "Marcelo", "Márcia", "Marcos", "Maria",
    "Mariana", "Mário", "Mateus", "Miguel", "Mônica", "Natália", "Nelson", "Olívia", "Otávio", "Patrícia", "Paula",
    "Paulo", "Pedro", "Rafael", "Raquel", "Raimundo", "Regina", "Renata", "Ricardo", "Roberto", "Rodrigo", "Rosana",
    "Samuel", "Sandra", "Sebastião", "Sérgio", "Sílvia", "Simone", "Sofia", "Sônia", "Tânia", "Teresa", "Thiago",
    "Valéria", "Vera", "Vicente", "Vinícius", "Vitória", "Wagner", "Yara",
)  # fmt: skip

LAST: Final = (
    "Abreu", "Aguiar", "Alencar", "Almeida", "Alves", "Amaral", "Andrade", "Antunes", "Aragão", "Araújo", "Assis",
    "Azevedo", "Barbosa", "Barcelos", "Barros", "Batista", "Bezerra", "Borges", "Braga", "Brito", "Bueno", "Camargo",
    "Campos", "Cardoso", "Carneiro", "Carvalho", "Castro", "Cavalcanti", "Chaves", "Coelho", "Conceição", "Cordeiro",
    "Correia", "Costa", "Coutinho", "Cruz", "Cunha", "Dantas", "Dias", "Domingues", "Duarte", "Esteves", "Farias",
    "Faria", "Fernandes", "Ferraz", "Ferreira", "Figueiredo", "Fonseca", "França", "Freitas", "Furtado", "Galvão",
    "Gomes", "Gonçalves", "Guedes", "Guimarães", "Lacerda", "Leal", "Leite", "Lemos", "Lima", "Lopes", "Macedo",
    "Machado", "Maia", "Marinho", "Marques", "Martins", "Matos", "Medeiros", "Melo", "Mendes", "Menezes", "Miranda",
    "Monteiro", "Moraes", "Moreira", "Mota", "Moura", "Nascimento", "Neves", "Nogueira", "Novaes", "Nunes",
    "Oliveira", "Pacheco", "Paiva", "Peixoto", "Pereira", "Pimentel", "Pinheiro", "Pinto", "Pires", "Prado",
    "Queiroz", "Ramos", "Rezende", "Ribeiro", "Rocha", "Rodrigues", "Sales", "Salgado", "Sampaio", "Santana",
    "Santos", "Siqueira", "Silva", "Silveira", "Simões", "Soares", "Sousa", "Tavares", "Teixeira", "Teles", "Torres",
    "Vargas", "Vasconcelos", "Viana", "Vidal", "Vieira", "Xavier",
)  # fmt: skip

SHOPS: Final = (
    "Açougue", "Academia", "Auto Elétrica", "Bar e Lanchonete", "Borracharia", "Clínica", "Confeitaria", "Drogaria",
    "Escola", "Farmácia", "Ferragens", "Floricultura", "Lavanderia", "Livraria", "Loja", "Marcenaria", "Mercado",
    "Minimercado", "Oficina", "Padaria", "Papelaria", "Pizzaria", "Pousada", "Quitanda", "Restaurante", "Salão",
    "Serralheria", "Supermercado",
)  # fmt: skip

FARMS: Final = ("Chácara", "Fazenda", "Granja", "Recanto", "Rancho", "Sítio")

STREETS: Final = ("Rua", "Rua", "Rua", "Rua", "Avenida", "Travessa", "Alameda", "Servidão")

#: Things that streets, farms, shops and quarters are named after.
THINGS: Final = (
    "Acácias", "Alvorada", "Araucárias", "Aroeira", "Aurora", "Bandeirantes", "Beija-Flor", "Boa Vista", "Bom Retiro",
    "Brisa", "Cachoeira", "Cafezal", "Canário", "Cedro", "Colibri", "Colina", "Copaíba", "Cruzeiro", "Diamante",
    "Esmeralda", "Esperança", "Estrela", "Figueira", "Flamboyant", "Fonte Nova", "Girassol", "Harmonia", "Horizonte",
    "Ingá", "Ipê", "Itapuã", "Jabuticaba", "Jacarandá", "Jasmim", "Jatobá", "Juriti", "Lagoa", "Laranjeiras",
    "Liberdade", "Manacá", "Mangueira", "Mirante", "Monte Alegre", "Nascente", "Novo Mundo", "Orquídeas", "Palmeiras",
    "Paraíso", "Pedra Branca", "Pinheiral", "Pitanga", "Planalto", "Ponte Alta", "Porto", "Primavera", "Progresso",
    "Recreio", "Ribeirão", "Rio Claro", "Rosário", "Sabiá", "Santa Clara", "Santa Luzia", "Santo Antônio",
    "São Bento", "São João", "São Pedro", "Saudade", "Serra Azul", "Sol Nascente", "Sossego", "Tamarindo",
    "Três Irmãos", "União", "Vale Verde", "Vargem", "Vista Alegre", "Vitória",
)  # fmt: skip
